"""The tables that travel between the halves of the pipeline, and from there to this process.

Arrow tables of bytes and numbers, so that neither half has to unpack what the other pickled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ReadRow", "Receipt", "read_rows", "read_rows_table", "receipt_table", "receipts"]


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A file that was read; or, where ``refusal`` says so, why a machine can read none.

    Args:
        path: its path's own bytes.
        source: its address in the collection.
        name: its file name for people.
        answer: what became of it, as JSON for ``decode_result``.
        seconds: that reading it took.
        refusal: what makes the machine unfit; empty when nothing does.
    """

    path: bytes = b""
    source: str = ""
    name: str = ""
    answer: bytes = b""
    seconds: float = 0.0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A shard that is on the disk; or why a machine can make none.

    Args:
        shard: its folder's name.
        refusal: what makes the machine unfit; empty when nothing does.
    """

    shard: str = ""
    refusal: str = ""


def read_rows_table(rows: Sequence[ReadRow]) -> pa.Table:
    """Return rows as a table."""
    import pyarrow as pa

    schema = pa.schema(
        [
            ("path", pa.binary()),
            ("source", pa.string()),
            ("name", pa.string()),
            ("answer", pa.large_binary()),
            ("seconds", pa.float64()),
            ("refusal", pa.string()),
        ]
    )
    return pa.Table.from_pylist([asdict(row) for row in rows], schema)


def read_rows(table: pa.Table) -> Iterator[ReadRow]:
    """Yield the rows of a table."""
    for batch in table.to_batches(max_chunksize=1):
        for values in batch.to_pylist():
            yield ReadRow(**values)


def receipt_table(receipt: Receipt) -> pa.Table:
    """Return a receipt as a table."""
    import pyarrow as pa

    schema = pa.schema([("shard", pa.string()), ("refusal", pa.string())])
    return pa.Table.from_pylist([asdict(receipt)], schema)


def receipts(table: pa.Table) -> list[Receipt]:
    """Return the receipts in a table."""
    return [Receipt(**values) for values in table.to_pylist()]
