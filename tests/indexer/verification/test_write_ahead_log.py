"""Damage in a write-ahead log is told from what a kill leaves."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from indexer.verification.write_ahead_log import log_damage

HEADER, FRAME = 32, 24 + 4096


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of a database whose writer was killed in a transaction, two commits before it."""
    path = tmp_path / "some.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA cache_size = 2")  # so that pages go to the log before the commit
    connection.execute("CREATE TABLE texts (text)")
    for _ in range(2):
        connection.execute("INSERT INTO texts VALUES (?)", ("x" * 9000,))
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO texts VALUES (?)", [("y" * 9000,)] * 20)
    kept = tmp_path / "killed.db-wal"
    shutil.copy(path, tmp_path / "killed.db")
    shutil.copy(f"{path}-wal", kept)
    connection.close()
    return kept


def commits(log: Path) -> list[int]:
    """Return the numbers of the frames that commit, counted from 0."""
    content = log.read_bytes()
    count = (len(content) - HEADER) // FRAME
    return [n for n in range(count) if any(content[HEADER + n * FRAME + 4 :][:4])]


def test_what_a_kill_leaves_is_no_damage(log):
    frames = (log.stat().st_size - HEADER) // FRAME
    assert commits(log)[-1] < frames - 5  # there are frames that nothing commits
    assert log_damage(log) == ""
    content = log.read_bytes()
    log.write_bytes(content[: HEADER + (commits(log)[-1] + 3) * FRAME + 1000])
    assert log_damage(log) == ""
    log.write_bytes(content[:20])
    assert log_damage(log) == ""
    log.unlink()
    assert log_damage(log) == ""


def test_frames_of_a_killed_writer_below_those_of_the_next_are_no_damage(log):
    connection = sqlite3.connect(log.with_name("killed.db"), isolation_level=None)
    connection.execute("INSERT INTO texts VALUES ('z')")
    assert log_damage(log) == ""
    connection.close()


def test_a_flipped_byte_before_the_last_commit_is_damage(log):
    content = log.read_bytes()
    choice = random.Random(3)
    for _ in range(60):
        position = choice.randrange(HEADER + commits_end(content) - FRAME)
        altered = bytearray(content)
        altered[position] ^= 1 << choice.randrange(8)
        log.write_bytes(altered)
        assert log_damage(log), position


def commits_end(content: bytes) -> int:
    count = (len(content) - HEADER) // FRAME
    last = max(n for n in range(count) if any(content[HEADER + n * FRAME + 4 :][:4]))
    return (last + 1) * FRAME
