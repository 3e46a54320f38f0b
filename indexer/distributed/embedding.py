"""The second half of the pipeline, on any machine: embeds what was read and writes a shard of it.

Texts whose vectors the collection has already are left out. A file that the model cannot take fails
alone; a model that takes none is the machine's fault.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.fingerprint import Fingerprint
from indexer.distributed.known import is_known, read_known
from indexer.distributed.rows import ReadRow, Receipt, read_rows, receipt_table
from indexer.distributed.shards import SHARD_SUFFIX, ShardDraft, ShardFile, ShardNote
from indexer.distributed.work import Job, UnfitMachineError, check_machine
from indexer.documents import embedding_text, text_hash
from indexer.errors import ExtractionError, StorageError
from indexer.extraction import ExtractionRequest, ExtractionResult
from indexer.extraction.protocol import (
    LENGTH,
    ProtocolError,
    decode_message,
    decode_result,
    encode_message,
    pack_result,
)
from indexer.extraction.reader import failed_result
from indexer.storage.archive import check_vectors

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from indexer.indexing.embedding import DocumentEmbedder

__all__ = ["EmbedFiles"]

_SLICE_TEXTS = 1024
_MOST_SHARDS = 200  # some megabytes each
_LOOK_S = 1.0
_HARMLESS = "A sentence that any model can read."
_LONGEST_CAUSE = 300


@dataclass(slots=True)
class _File:
    """A file on its way into a shard."""

    result: ExtractionResult
    hashes: set[bytes] = field(default_factory=set)


class EmbedFiles:
    """Embeds files and writes shards; Ray keeps one of these for each device.

    Args:
        job: what is the same for all files.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._known: NDArray[np.uint64] | None = None
        self._model: DocumentEmbedder | None = None
        self._seconds = 0.0

    def __call__(self, table: pa.Table) -> pa.Table:
        """Embed the files of a table and return the receipt of their shard."""
        rows = list(read_rows(table))
        refusals = [row.refusal for row in rows if row.refusal]
        try:
            if refusals:
                raise UnfitMachineError(refusals[0])
            return receipt_table(Receipt(shard=self._embed(rows)))
        except UnfitMachineError as error:
            return receipt_table(Receipt(refusal=str(error)))
        except StorageError as error:
            return receipt_table(Receipt(refusal=f"machine {socket.gethostname()}: {error}"))

    def _embed(self, rows: Sequence[ReadRow]) -> str:
        if self._known is None:
            check_machine(self._job)
            self._known = read_known(self._job.folder)
        self._wait_for_room()
        files = [_File(_unpacked(row)) for row in rows]
        texts = self._texts_of(files)
        self._seconds = 0.0
        with ShardDraft(self._job.folder, dim=self._job.dim) as draft:
            remaining = iter(texts)
            while part := list(islice(remaining, _SLICE_TEXTS)):
                self._add(draft, files, {key: texts[key] for key in part})
            note = ShardNote(self._job.made_for, self._job.started_ns, self._seconds)
            return draft.finish([_shard_file(file.result) for file in files], note)

    def _wait_for_room(self) -> None:
        """Let the process that stores catch up: the disk may be smaller than the corpus."""
        while sum(1 for _ in self._job.folder.glob("*" + SHARD_SUFFIX)) >= _MOST_SHARDS:
            time.sleep(_LOOK_S)

    def _texts_of(self, files: Sequence[_File]) -> dict[bytes, str]:
        """Return the texts that have no vector yet, in the order they will be asked for."""
        assert self._known is not None
        texts: dict[bytes, str] = {}
        for file in files:
            for text in map(embedding_text, file.result.chunks):
                key = text_hash(text)
                if key not in file.hashes and not is_known(self._known, key):
                    file.hashes.add(key)
                    texts[key] = text
        return texts

    def _add(self, draft: ShardDraft, files: Sequence[_File], texts: Mapping[bytes, str]) -> None:
        """Embed a slice at once; where the model fails, file by file."""
        try:
            vectors = self._vectors(list(texts.values()))
        except UnfitMachineError:
            raise
        except Exception:  # of the model: memory, a device, vectors that are none
            self._check_model()
        else:
            draft.add(list(texts), vectors)
            return
        done: set[bytes] = set()
        for file in files:
            mine = {key: texts[key] for key in texts if key in file.hashes and key not in done}
            if mine and file.result.status == "ready":
                try:
                    vectors = self._vectors(list(mine.values()))
                except Exception as error:
                    file.result = _not_embedded(file.result, error)
                else:
                    draft.add(list(mine), vectors)
                    done |= mine.keys()

    def _vectors(self, texts: list[str]) -> NDArray[np.float32]:
        model = self._model or self._load()
        begun = time.perf_counter()
        vectors = model.embed_documents(texts, steps=self._job.steps)
        check_vectors(vectors, dim=self._job.dim)
        self._seconds += time.perf_counter() - begun
        return vectors

    def _check_model(self) -> None:
        """Check that the model works at all: else every file would be said to have failed."""
        try:
            self._vectors([_HARMLESS])
        except UnfitMachineError:
            raise
        except Exception as error:
            raise UnfitMachineError(
                f"machine {socket.gethostname()}: the model fails on any text: {error}; "
                "free some memory there, or use another device: --device cpu"
            ) from error

    def _load(self) -> DocumentEmbedder:
        here = socket.gethostname()
        try:
            model = self._job.model.load()
            actual = model.info.fingerprint()
        except Exception as error:
            raise UnfitMachineError(f"machine {here} cannot load the model: {error}") from error
        wanted = Fingerprint.from_dict(self._job.fingerprint)
        differences = wanted.differences(replace(wanted, model=actual))
        if differences:
            raise UnfitMachineError(
                f"machine {here} has another model than the collection (collection / there): "
                f"{'; '.join(differences)}; install the same version of the program and of the "
                "model on all machines"
            )
        self._model = model
        return model


def _unpacked(row: ReadRow) -> ExtractionResult:
    request = ExtractionRequest(Path(os.fsdecode(row.path)), row.source, row.name)
    try:
        return decode_result(decode_message(row.answer), request, seconds=row.seconds)
    except ProtocolError as error:
        fault = ExtractionError(
            "crashed",
            f"the reading process answered nonsense: {error}",
            hint="the file may be an attack on its parser: open it with care",
        )
        return failed_result(request, fault, seconds=row.seconds)


def _not_embedded(result: ExtractionResult, error: Exception) -> ExtractionResult:
    what = " ".join(str(error).split())[:_LONGEST_CAUSE] or type(error).__name__
    fault = ExtractionError(
        "model",
        f"the model cannot embed it: {what}",
        hint="try again with --retry-failed; if it fails again, split the file into smaller ones",
    )
    return failed_result(result.request, fault, seconds=result.seconds)


def _shard_file(result: ExtractionResult) -> ShardFile:
    return ShardFile(
        path=os.fsencode(result.request.path),
        size=result.size,
        mtime_ns=result.mtime_ns,
        is_whole=result.sha256 is not None,
        answer=encode_message(pack_result(result))[LENGTH.size :],
        seconds=result.seconds,
    )
