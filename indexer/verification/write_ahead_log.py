"""Finds damage in a SQLite write-ahead log, which SQLite itself takes for the log's end.

A log whose middle was altered loses every transaction from there on, in silence. Source: "The WAL
File Format", sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["log_damage"]

_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_MAGIC = 0x377F0682  # with the lowest bit set, checksums are made of big-endian words
_MASK = 0xFFFFFFFF

_Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Frame:
    """One page of the log."""

    is_commit: bool
    salt: bytes
    stated: _Sums
    summed: bytes


def log_damage(path: Path) -> str:
    """Return what is wrong with a log; nothing for one that is absent, whole or cut off by a kill.

    A killed writer leaves frames behind the last whole transaction that no commit follows. Frames
    that do not agree with their checksums although a later one commits were whole once.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return _damage(stream)
    except FileNotFoundError:
        return ""


def _damage(stream: BinaryIO) -> str:
    header = stream.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return ""  # empty, or killed as it was begun
    magic, _, page_bytes = struct.unpack(">III", header[:12])
    order = "big" if magic & 1 else "little"
    sums = _stated(header[24:])
    if magic & ~1 != _MAGIC or _summed(header[:24], order, (0, 0)) != sums:
        return "its header is damaged; SQLite would pass over every transaction in it"
    first_bad = 0
    for number, frame in enumerate(_frames(stream, page_bytes), start=1):
        is_current = frame.salt == header[16:24]  # else of an earlier use of the file
        if first_bad:
            if is_current and frame.is_commit:
                return (
                    f"frame {first_bad} does not agree with its checksum; SQLite would pass over "
                    "the transactions from there on"
                )
        elif is_current and _summed(frame.summed, order, sums) == frame.stated:
            sums = frame.stated
        else:
            first_bad = number
    return ""


def _frames(stream: BinaryIO, page_bytes: int) -> Iterator[_Frame]:
    while len(frame := stream.read(_FRAME_HEADER_BYTES + page_bytes)) > page_bytes:
        pages_after_commit = frame[4:8]
        yield _Frame(
            is_commit=any(pages_after_commit),
            salt=frame[8:16],
            stated=_stated(frame[16:24]),
            summed=frame[:8] + frame[_FRAME_HEADER_BYTES:],
        )


def _stated(content: bytes) -> _Sums:
    first, second = struct.unpack(">II", content)
    return first, second


def _summed(content: bytes, order: str, seed: _Sums) -> _Sums:
    """Return SQLite's checksum of a multiple of 8 bytes, going on from ``seed``."""
    words = array("I", content)
    if order != sys.byteorder:
        words.byteswap()
    first, second = seed
    pairs = iter(words)
    for even, odd in zip(pairs, pairs, strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
