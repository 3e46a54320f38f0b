"""What Word and PowerPoint files have in common: the properties that say what they are."""

from __future__ import annotations

from typing import Protocol

__all__ = ["core_properties"]


class _CoreProperties(Protocol):
    title: str
    author: str
    subject: str
    keywords: str
    category: str
    created: object
    modified: object


def core_properties(properties: _CoreProperties) -> tuple[str | None, dict[str, str]]:
    """Return the title and the further fields of an Office file's core properties."""
    fields = {
        "author": properties.author,
        "subject": properties.subject,
        "keywords": properties.keywords,
        "category": properties.category,
        "created": str(properties.created or ""),
        "modified": str(properties.modified or ""),
    }
    title = properties.title.strip()
    # the names that the programs give to files nobody named
    generic = title.lower() in {"word document", "powerpoint presentation", "untitled"}
    return (None if generic else title or None), fields
