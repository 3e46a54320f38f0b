"""What a language model is asked, so that it writes a query for a passage."""

from __future__ import annotations

from indexer.adaptation.passages import Passage

__all__ = ["blank_prompt", "query_prompt"]

_MAX_CHARACTERS = 2000
"""Of a passage; an ordinary chunk is shorter, and what lies beyond would not be embedded either."""

_TASK = (
    "Below is a passage from a collection of documents. Write one search query that a person would "
    "type who looks for what this passage says and has not read it. Use your own words where you "
    "can, name the subject, and do not mention the passage. Answer with the query alone, on one "
    "line."
)


def query_prompt(passage: Passage) -> str:
    """Return the request for a query that the passage answers.

    It ends where the query begins, so that models without a chat format go on with it.
    """
    # A passage is data: it stands apart, and what it may demand is cut off from the request.
    text = passage.full_text[:_MAX_CHARACTERS]
    return f"{_TASK}\n\nPassage:\n{text}\n\nSearch query:"


def blank_prompt() -> str:
    """Return the same request without a passage: what is likely here says nothing about one."""
    return f"{_TASK}\n\nPassage:\n(empty)\n\nSearch query:"
