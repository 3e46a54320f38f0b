"""Compares the files of a content's vectors with their checksums, headers included.

Knows the archive; which documents suffer is read from the chunks.
"""

from __future__ import annotations

import sqlite3

from indexer.storage.archive import VectorArchive
from indexer.verification.findings import Findings

__all__ = ["check_vectors"]


def check_vectors(
    connection: sqlite3.Connection, findings: Findings, archive: VectorArchive
) -> None:
    """Note rows of vectors that are not what was written, and who uses them.

    Args:
        connection: inside a read transaction.
        findings: where to.
        archive: the vectors.
    """
    findings.counts["vectors"] += len(archive)
    named = set()
    for damaged in archive.verify():
        findings.add(
            "vectors",
            damaged.path,
            f"rows {damaged.first_row:,} to {damaged.last_row:,}: {damaged.reason}",
            documents=_users(connection, damaged.first_row, damaged.last_row),
            rows=(damaged.first_row, damaged.last_row),
        )
        named.add(damaged.path)
    for path, fault in archive.header_faults():
        if path not in named:
            findings.add("vectors", path, fault)


def _users(connection: sqlite3.Connection, first_row: int, last_row: int) -> tuple[str, ...]:
    found = connection.execute(
        "SELECT DISTINCT d.source FROM chunks c JOIN documents d ON d.key = c.document "
        "WHERE c.row BETWEEN ? AND ? ORDER BY d.source",
        (first_row, last_row),
    )
    return tuple(source for (source,) in found)
