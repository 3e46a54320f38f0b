"""What a verification found: problems with what to do about each, and remarks.

Knows no collection; others fill it in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Findings", "Part", "Problem", "Report"]

Part = Literal[
    "settings", "pointer", "database", "log", "documents", "ledger", "words", "vectors", "index",
    "snapshot", "access",
]  # fmt: skip
"""What of a collection is damaged, which decides how it is mended; ``access`` stands for what could
not be examined, and need not be damaged at all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        part: what it is a part of.
        file: the file, seen from the collection's directory; or the address of a server.
        what: what is wrong with it.
        remedy: what to do about it.
        documents: sources of the documents that suffer, as far as that is known.
        rows: first and last row of the vectors that suffer, if any do.
    """

    part: Part
    file: str
    what: str
    remedy: str
    documents: tuple[str, ...] = ()
    rows: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "part": self.part,
            "file": self.file,
            "what": self.what,
            "remedy": self.remedy,
            "documents": list(self.documents),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a verification.

    Args:
        name: the collection.
        problems: everything that is wrong.
        remarks: what is no damage, but worth knowing.
        counts: how many files, documents, vectors and so on were looked at.
        seconds: how long it took.
    """

    name: str
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]
    counts: dict[str, int]
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether everything was examined, and nothing is wrong."""
        return not self.problems

    @property
    def is_damaged(self) -> bool:
        """Whether something is wrong, rather than out of reach."""
        return any(problem.part != "access" for problem in self.problems)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "collection": self.name,
            "sound": self.is_sound,
            "problems": [problem.as_dict() for problem in self.problems],
            "remarks": list(self.remarks),
            "counts": self.counts,
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class Findings:
    """Collects what is found in one collection.

    Args:
        directory: the collection's directory; files are named from there.
        name: the collection, as remedies name it.
        remedy: what to do about most problems; empty stands for a repair.
    """

    directory: Path
    name: str
    remedy: str = ""
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def repair(self) -> str:
        """What to do about most problems."""
        return self.remedy or f"run `gircse verify {self.name} --repair`"

    def file(self, path: Path | str) -> str:
        """Return how a file of the collection, or the address of what is no file, is named."""
        if isinstance(path, Path) and path.is_relative_to(self.directory):
            return path.relative_to(self.directory).as_posix()
        return str(path)

    def add(
        self,
        part: Part,
        path: Path | str,
        what: str,
        remedy: str = "",
        *,
        documents: tuple[str, ...] = (),
        rows: tuple[int, int] | None = None,
    ) -> None:
        """Note that something is wrong with a file, and what to do where that is special."""
        self.problems.append(
            Problem(part, self.file(path), what, remedy or self.repair, documents, rows)
        )

    def has(self, *parts: Part) -> bool:
        """Return whether something is wrong with one of these parts."""
        return any(problem.part in parts for problem in self.problems)
