"""Checks that a model and its settings fit a collection's vectors, and says what to do if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.collections.fingerprint import Fingerprint
from indexer.errors import FingerprintMismatchError

if TYPE_CHECKING:
    from indexer.collections.config import CollectionConfig
    from indexer.embedder import ModelInfo

__all__ = ["check_model"]


def check_model(
    config: CollectionConfig,
    info: ModelInfo,
    steps: int | None = None,
    *,
    name: str,
) -> None:
    """Check that vectors made under these settings may be compared with a collection's.

    Args:
        config: the collection's.
        info: the model.
        steps: refinement steps of documents; None stands for the collection's own.
        name: the collection, as messages name it.

    Raises:
        FingerprintMismatchError: they differ; the message has both values and what mends it.
    """
    mine = config.fingerprint
    asked = Fingerprint(info.fingerprint(), mine.steps if steps is None else steps, mine.chunking)
    differences = mine.differences(asked)
    if differences:
        if info.name != config.model:
            differences.insert(0, f"model: {config.model} / {info.name}")
        lines = "".join(f"\n  {line}" for line in differences)
        raise FingerprintMismatchError(
            f"collection {name!r} was made with other settings than asked for; their "
            f"vectors cannot be compared (collection / asked for):{lines}\n"
            f"{_mending(config, info, asked, name)}"
        )


def _rebuild_command(info: ModelInfo, asked: Fingerprint, mine: Fingerprint, name: str) -> str:
    flags = [f"--model {info.name}"]
    if asked.steps != mine.steps:
        flags.append(f"--steps {asked.steps}")
    return f"gircse reindex {name} {' '.join(flags)}"


def _mending(config: CollectionConfig, info: ModelInfo, asked: Fingerprint, name: str) -> str:
    mine = config.fingerprint
    flags = []
    if info.name != config.model:
        flags.append(f"--model {config.model}")
    if asked.steps != mine.steps:
        flags.append(f"--steps {mine.steps}")
    ways = ["index into another collection: gircse index PATH --collection OTHER"]
    if flags:
        ways.insert(0, f"use what the collection was made with: {' '.join(flags)}")
    ways.append(
        "embed the collection anew, which stays searchable meanwhile: "
        f"{_rebuild_command(info, asked, mine, name)}"
    )
    return "Either " + "\n    or ".join(ways)
