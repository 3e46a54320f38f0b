"""The first half of the pipeline, on any machine: reads a portion of files in a limited child.

One bad file costs itself alone. What makes the machine unfit for all of them is said in a row of
its own, for Ray would try again what raises.
"""

from __future__ import annotations

import os
import socket
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

from indexer.distributed.rows import ReadRow, read_rows_table
from indexer.distributed.work import Job, UnfitMachineError, check_machine, unpack_portion
from indexer.embedder import ModelError
from indexer.errors import ExtractionError
from indexer.extraction import ExtractionRequest, ExtractionResult
from indexer.extraction.process import WorkerStartError
from indexer.extraction.protocol import LENGTH, encode_message, pack_result
from indexer.extraction.reader import Reader, failed_result

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ReadFiles"]

_TABLE_BYTES = 4 * 2**20


class ReadFiles:
    """Reads files; Ray keeps a few of these in processes of their own.

    Args:
        job: what is the same for all files.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reader: Reader | None = None
        self._has_worked = False

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Read the files of portions, packed in the column ``portion``.

        Yields:
            What became of them, a few megabytes at a time.
        """
        try:
            yield from self._read(batch)
        except UnfitMachineError as error:
            yield read_rows_table([ReadRow(refusal=str(error))])

    def _read(self, batch: pa.Table) -> Iterator[pa.Table]:
        rows: list[ReadRow] = []
        size = 0
        for packed in batch.column("portion").to_pylist():
            for request in unpack_portion(packed):
                row = _row(self._result(request))
                rows.append(row)
                size += len(row.answer)
                if size >= _TABLE_BYTES:
                    yield read_rows_table(rows)
                    rows, size = [], 0
        if rows:
            yield read_rows_table(rows)

    def _result(self, request: ExtractionRequest) -> ExtractionResult:
        reader = self._reader or self._open()
        try:
            result = reader.read(request)
        except (WorkerStartError, OSError) as error:
            if not self._has_worked:
                raise UnfitMachineError(
                    f"machine {socket.gethostname()} cannot read files: {error}"
                ) from error
            fault = ExtractionError(
                "crashed",
                f"the reading process could not be started again: {error}",
                hint="free some memory or read fewer files at once, then index again",
            )
            return failed_result(request, fault, seconds=0.0)
        self._has_worked = True
        return result

    def _open(self) -> Reader:
        check_machine(self._job)
        try:
            tokenizer_file = self._job.model.tokenizer()
        except (ModelError, OSError) as error:
            raise UnfitMachineError(f"machine {socket.gethostname()}: {error}") from error
        reader = self._reader = Reader(tokenizer_file, self._job.chunking, self._job.limits)
        weakref.finalize(self, reader.finish)  # Ray tells nobody when it is done with one of these
        return reader


def _row(result: ExtractionResult) -> ReadRow:
    return ReadRow(
        path=os.fsencode(result.request.path),
        source=result.request.source,
        name=result.request.name,
        answer=encode_message(pack_result(result))[LENGTH.size :],
        seconds=result.seconds,
    )
