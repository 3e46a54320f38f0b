"""Writes pairs as the lines that training reads: query, pos, neg and source."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from indexer.adaptation.pairs import Pair
from indexer.storage.segments import disk_errors

__all__ = ["write_pairs"]


def write_pairs(
    file: Path,
    pairs: Iterable[Pair],
    *,
    negatives: Iterable[Sequence[str]],
    texts: Mapping[str, str],
    source: str,
) -> None:
    """Write a ``.jsonl.gz`` file; equal pairs give equal bytes.

    Only its owner may read it: it holds the texts of the documents.

    Args:
        file: replaced when it is there, and only once the new one is whole.
        pairs: in the order to write.
        negatives: for each pair the chunk ids of its hard negatives.
        texts: text of the chunks that are named there; those that are gone are left out.
        source: what the lines name as theirs; the kind of the pair follows after ``#``.
    """
    partial = file.with_name(f"{file.name}.partial")
    with disk_errors(file, needed=0):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with (
            partial.open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as stream,
        ):
            for pair, chunk_ids in zip(pairs, negatives, strict=True):
                line = {
                    "query": pair.query,
                    "pos": pair.positive,
                    "source": f"{source}#{pair.kind}",
                    "neg": [texts[chunk_id] for chunk_id in chunk_ids if chunk_id in texts],
                }
                stream.write(json.dumps(line, ensure_ascii=False).encode("utf-8") + b"\n")
        partial.replace(file)
