"""Training pairs: files of JSON lines to (query, passage, hard negatives), grouped by source.

A line is an object with ``query`` and ``pos``, optionally ``neg`` (a text or a list of texts) and
``source``, of which a part after ``#`` is a tag: lines of one source are batched together whatever
their tags. Order inside of a source is that of the file.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gircse_core.errors import TrainingInputError
from gircse_core.integrity import file_sha256
from gircse_core.tokenization import lone_surrogate
from gircse_core.training.progress import DataFile

__all__ = ["Pair", "PairSet", "read_pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, the passage that answers it, and passages that seem to but do not.

    Args:
        query: as written.
        passage: the positive.
        negatives: hard negatives; may be none.
        tag: what stood behind the ``#`` of its source.
    """

    query: str
    passage: str
    negatives: tuple[str, ...] = ()
    tag: str = ""


@dataclass(frozen=True, slots=True)
class PairSet:
    """All pairs of a run.

    Args:
        sources: pairs by source, in the order of the files.
        files: where they came from.
    """

    sources: dict[str, list[Pair]]
    files: tuple[DataFile, ...]

    def __len__(self) -> int:
        return sum(map(len, self.sources.values()))

    def texts(self) -> Iterator[str]:
        """Yield every passage."""
        for pairs in self.sources.values():
            for pair in pairs:
                yield pair.passage


def read_pairs(files: Sequence[Path], *, leave_out: Sequence[str] = ()) -> PairSet:
    """Read ``.jsonl`` and ``.jsonl.gz`` files.

    Args:
        files: at least one; a file without ``source`` in its lines is a source by its own name.
        leave_out: sources, ``#tags`` or ``source#tag`` to skip.

    Raises:
        TrainingInputError: a file cannot be read, a line is no pair, nothing is left, or a name in
            ``leave_out`` fits nothing.
    """
    if not files:
        raise TrainingInputError("No file of pairs was given; name at least one .jsonl file.")
    sources: dict[str, list[Pair]] = {}
    described = []
    skipped: Counter[str] = Counter()
    for file in files:
        counts: Counter[str] = Counter()
        left_out = 0
        for label, pair in _lines(file):
            source, _, tag = label.partition("#")
            reason = _reason_to_skip(source, tag, leave_out)
            if reason:
                skipped[reason] += 1
                left_out += 1
                continue
            counts[label] += 1
            sources.setdefault(source, []).append(pair)
        described.append(DataFile(file.name, file_sha256(file), dict(counts), left_out))
    idle = [name for name in leave_out if not skipped[name]]
    if idle:
        raise TrainingInputError(
            f"Nothing in the files is called {idle}, which was to be left out. A source is named "
            "as its lines name it, a tag as '#tag'."
        )
    if not sources:
        raise TrainingInputError(
            f"There are no pairs in {[str(file) for file in files]}"
            + (f" ({sum(skipped.values())} were left out)." if skipped else ".")
        )
    return PairSet(sources, tuple(described))


def _reason_to_skip(source: str, tag: str, leave_out: Sequence[str]) -> str | None:
    names = {source, f"#{tag}", f"{source}#{tag}"} if tag else {source}
    return next((name for name in leave_out if name in names), None)


def _lines(file: Path) -> Iterator[tuple[str, Pair]]:
    """Yield (source as written, pair) of each line that is not blank."""
    stem = file.name.removesuffix(".gz").removesuffix(".jsonl")
    number = 0
    try:
        with _open(file) as stream:
            for number, raw in enumerate(stream, start=1):
                if raw.strip():
                    yield _pair(raw, f"{file}, line {number}", stem)
    except FileNotFoundError as error:
        raise TrainingInputError(f"There is no file {file}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingInputError(
            f"{file} cannot be read beyond line {number}: {error}. Fetch it again."
        ) from error


def _open(file: Path) -> Any:  # noqa: ANN401 - gzip's and open's streams share no public type
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")


def _pair(raw: bytes, place: str, stem: str) -> tuple[str, Pair]:
    try:
        values = json.loads(raw)
    except ValueError as error:
        raise TrainingInputError(f"{place} is no JSON: {error}.") from error
    if not isinstance(values, dict):
        raise TrainingInputError(f"{place} is no JSON object with query and pos.")
    query = _text(values.get("query"), "query", place)
    passage = _text(values.get("pos"), "pos", place)
    given = values.get("neg")
    listed = [] if given is None else given if isinstance(given, list) else [given]
    negatives = tuple(_text(text, "neg", place) for text in listed)
    source = values.get("source", stem)
    if not isinstance(source, str) or not source.partition("#")[0]:
        raise TrainingInputError(f"{place}: source is {source!r}; it must be a name.")
    return source, Pair(query, passage, negatives, source.partition("#")[2])


def _text(value: object, name: str, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        seen = "missing" if value is None else "empty" if isinstance(value, str) else repr(value)
        raise TrainingInputError(f"{place}: {name} is {seen}; it must be a text.")
    if (half := lone_surrogate(value)) is not None:
        raise TrainingInputError(
            f"{place}: {name} holds {half!r}, half of a character that no tokenizer takes. "
            "Remove it."
        )
    return value
