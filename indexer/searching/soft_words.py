"""Whether the words nearest to soft tokens say something readable about the text they refine.

Words are compared as they are, by letters alone; words of fewer than three letters do not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from indexer.searching.words import terms

__all__ = ["NEAREST", "Readability", "content_words", "readability", "share_in"]

NEAREST = 20
"""How many of the words nearest to each soft token are looked at."""

_LEAST_SHARE = 0.02
_LEAST_RATIO = 4.0
_WORD = re.compile(r"[^\W\d_]+")

# What any text's words are by accident found in: everyday sentences on subjects far apart, ours.
_UNRELATED = (
    "The orchestra tuned its violins while the audience looked for their seats in the dark hall",
    "Loose gravel on the mountain road made the lorry slide towards the river below",
    "She signed the rental contract on Monday and moved the furniture in the same week",
    "Bees visit the lavender first and leave the roses for the warmer part of the morning",
    "The goalkeeper caught the ball twice before the referee ended the match in heavy rain",
    "A fever that lasts longer than three days should be shown to a doctor",
    "Prices of copper rose again after two mines in Chile were closed by a strike",
    "Whisk the eggs with sugar until pale, then fold in the flour and a pinch of salt",
    "The satellite sends its pictures of the ice to a station in the far north",
    "Medieval monks copied books by hand and painted the first letter of each chapter in gold",
    "The program stopped with an error because the file had been renamed during the night",
    "Sailors steered by the stars until clocks became exact enough to carry at sea",
)


@dataclass(frozen=True, slots=True)
class Readability:
    """What was measured of one text's soft tokens.

    Args:
        said: share of the nearest words that occur in the text, the mean over the soft tokens.
        chance: the same for unrelated sentences, scaled to the number of words of the text.
        tokens: how many soft tokens were looked at.
    """

    said: float
    chance: float
    tokens: int

    @property
    def is_readable(self) -> bool:
        """Whether the words say clearly more of the text than of any other one."""
        return self.said >= _LEAST_SHARE and self.said >= _LEAST_RATIO * self.chance


def content_words(text: str) -> set[str]:
    """Return the words of a text that can be compared."""
    return {word for word in _WORD.findall(text.lower()) if len(word) > 2}


def share_in(words: Sequence[str], text_words: Collection[str]) -> float:
    """Return which share of some nearest words a text holds."""
    return sum(word.strip().lower() in text_words for word in words) / max(1, len(words))


def readability(nearest: Sequence[Sequence[str]], text: str) -> Readability | None:
    """Measure whether soft tokens can be read; None where there are none.

    Args:
        nearest: for each soft token the words that it is nearest to.
        text: what they refine, with further texts that they should speak of.
    """
    if not nearest:
        return None
    own = _telling_words(text)

    def mean_share(words: Collection[str]) -> float:
        return fmean(share_in(one, words) for one in nearest)

    others = [_telling_words(sentence) for sentence in _UNRELATED]
    chance = fmean(mean_share(other) * len(own) / len(other) for other in others)
    return Readability(said=mean_share(own), chance=chance, tokens=len(nearest))


def _telling_words(text: str) -> set[str]:
    """Return the words of a text that say something of it: what any text holds proves nothing."""
    return content_words(" ".join(terms(text).words))
