"""Shards: folders of files that were read and embedded, on their way into a collection.

Each has two Parquet files, for that is a format with checksums that Arrow, which comes with Ray,
reads and writes piece by piece: ``files.parquet`` with one row for each file, as the process that
read it answered, and ``vectors.parquet`` with one row for each text that the model has read. A
shard is whole or not there: its folder gets its name when everything in it is on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from indexer.errors import StorageError
from indexer.storage.segments import disk_errors, sync_folder

if TYPE_CHECKING:
    import numpy as np
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

__all__ = ["SHARD_SUFFIX", "Shard", "ShardDraft", "ShardFile", "ShardNote", "drop_drafts"]

SHARD_SUFFIX = ".shard"
_DRAFT_SUFFIX = ".draft"
_FILES, _VECTORS = "files.parquet", "vectors.parquet"
_HASH_BYTES = 32
_GROUP_BYTES = 8 * 2**20  # of vectors that are read at once
_FILES_AT_ONCE = 16
_NOTE = b"gircse"


@dataclass(frozen=True, slots=True)
class ShardNote:
    """What is known of a shard as a whole.

    Args:
        made_for: what its vectors and passages depend on; a shard made for something else is of no
            use.
        started_ns: when the run began that made it; nanoseconds since the epoch.
        model_seconds: that the model took.
    """

    made_for: str
    started_ns: int
    model_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A file in a shard.

    Args:
        path: its path's own bytes.
        size: of the content that was read, in bytes.
        mtime_ns: time of its last modification when it was read.
        is_whole: whether its content was read whole; else trying again may end otherwise.
        answer: what became of it, as JSON for ``decode_result``.
        seconds: that reading it took.
    """

    path: bytes
    size: int
    mtime_ns: int
    is_whole: bool
    answer: bytes
    seconds: float


class ShardDraft:
    """A shard that is being written; a context manager that removes what was not finished.

    Args:
        folder: where shards are kept.
        dim: width D of the vectors.

    Raises:
        StorageError: the disk is full or cannot be written.
    """

    def __init__(self, folder: Path, *, dim: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._folder = folder
        self._dim = dim
        self._name = uuid.uuid4().hex
        self._draft = folder / (self._name + _DRAFT_SUFFIX)
        self._schema = pa.schema([("hash", pa.binary(_HASH_BYTES)), ("vector", pa.binary(4 * dim))])
        with disk_errors(self._draft, needed=0):
            self._draft.mkdir()
            self._vectors = pq.ParquetWriter(
                self._draft / _VECTORS,
                self._schema,
                compression="none",
                use_dictionary=False,
                write_page_checksum=True,
            )

    def add(self, hashes: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Add vectors, (N, D) float32, each under its text's hash.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        import pyarrow as pa

        width = 4 * self._dim
        content = pa.py_buffer(vectors.astype("<f4").tobytes())
        column = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width), len(hashes), [None, content]
        )
        table = pa.table({"hash": pa.array(hashes, pa.binary(_HASH_BYTES)), "vector": column})
        with disk_errors(self._draft, needed=len(hashes) * width):
            self._vectors.write_table(
                table.cast(self._schema), row_group_size=max(1, _GROUP_BYTES // width)
            )

    def finish(self, files: Sequence[ShardFile], note: ShardNote) -> str:
        """Make the shard whole; return its name.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        final = self._folder / (self._name + SHARD_SUFFIX)
        needed = sum(len(file.answer) for file in files)
        with disk_errors(self._draft, needed=needed):
            self._vectors.close()
            _write_files(self._draft / _FILES, files, note)
            for path in (self._draft / _FILES, self._draft / _VECTORS):
                _sync(path)
            sync_folder(self._draft)
            self._draft.rename(final)
            sync_folder(self._folder)
        return final.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._draft.exists():
            self._vectors.close()
            shutil.rmtree(self._draft, ignore_errors=True)


class Shard:
    """A whole shard, open for reading.

    Args:
        path: its folder.

    Raises:
        StorageError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[bytes, int] | None = None
        self._group: tuple[int, list[bytes]] | None = None
        with _damage(path):
            schema = self._open(_FILES).schema_arrow
            self.note = ShardNote(**json.loads((schema.metadata or {})[_NOTE]))

    def paths(self) -> list[bytes]:
        """Return the paths' own bytes of its files."""
        with _damage(self.path):
            paths: list[bytes] = self._open(_FILES).read(["path"]).column(0).to_pylist()
            return paths

    def stamps(self) -> dict[bytes, tuple[int, int]]:
        """Return size and time of modification of each file that was read whole, by its path."""
        with _damage(self.path):
            rows = self._open(_FILES).read(["path", "size", "mtime_ns", "is_whole"]).to_pylist()
            return {row["path"]: (row["size"], row["mtime_ns"]) for row in rows if row["is_whole"]}

    def files(self) -> Iterator[ShardFile]:
        """Yield its files, a few of them in memory at a time."""
        with _damage(self.path):
            for batch in self._open(_FILES).iter_batches(_FILES_AT_ONCE):
                for values in batch.to_pylist():
                    yield ShardFile(**values)

    def has(self, text_hash: bytes) -> bool:
        """Return whether the vector of a text is in it."""
        return text_hash in self._index()

    def vector(self, text_hash: bytes) -> NDArray[np.float32]:
        """Return the (D,) vector of a text.

        Raises:
            KeyError: it is not there.
            StorageError: the shard is damaged.
        """
        import numpy as np

        row = self._index()[text_hash]
        with _damage(self.path):
            first, vectors = self._group_of(row)
            return np.frombuffer(vectors[row - first], dtype="<f4")

    def remove(self) -> None:
        """Delete it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _index(self) -> dict[bytes, int]:
        if self._rows is None:
            with _damage(self.path):
                column = self._open(_VECTORS).read(["hash"]).column(0)
                self._rows = {key: row for row, key in enumerate(column.to_pylist())}
        return self._rows

    def _group_of(self, row: int) -> tuple[int, list[bytes]]:
        # texts are asked for in the order of the files, so nearly always of the group at hand
        if self._group is None or not 0 <= row - self._group[0] < len(self._group[1]):
            file = self._open(_VECTORS)
            first = 0
            for number in range(file.num_row_groups):
                count = file.metadata.row_group(number).num_rows
                if row < first + count:
                    column = file.read_row_group(number, ["vector"]).column(0)
                    self._group = first, column.to_pylist()
                    break
                first += count
        assert self._group is not None
        return self._group

    def _open(self, name: str) -> pq.ParquetFile:
        from pyarrow import parquet

        # the library keeps no file open: a shard may lie on another machine's disk
        return parquet.ParquetFile(self.path / name, page_checksum_verification=True)


def drop_drafts(folder: Path) -> None:
    """Remove what killed processes left unfinished."""
    for draft in folder.glob("*" + _DRAFT_SUFFIX):
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what Arrow raises on a damaged file into an error that says what to do."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"shard {path} is damaged: {error}; delete that folder and run the same command again, "
            "which reads its files anew"
        ) from error


def _write_files(path: Path, files: Sequence[ShardFile], note: ShardNote) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("path", pa.binary()),
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("is_whole", pa.bool_()),
            ("answer", pa.large_binary()),
            ("seconds", pa.float64()),
        ],
        metadata={_NOTE: json.dumps(asdict(note)).encode()},
    )
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
    ) as writer:
        for begin in range(0, len(files), _FILES_AT_ONCE):
            rows = [asdict(file) for file in files[begin : begin + _FILES_AT_ONCE]]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
