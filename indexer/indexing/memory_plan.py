"""How the memory that a run may take is shared out: processes that read, and what waits for others.

The model itself is not in it: what that takes depends on the model and its device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from indexer.errors import UsageError
from indexer.extraction import ExtractionLimits
from indexer.indexing.embedding import LARGEST_SLICE

__all__ = ["MemoryPlan", "check_max_memory", "plan_memory", "result_bytes"]

_MIB = 1024 * 1024
_MIN_CHILD_BYTES = 256 * _MIB  # ExtractionLimits asks for as much
_MIN_BUFFER_BYTES = 128 * _MIB
_FREE_BUFFER_BYTES = 192 * _MIB  # where there is no limit

# Measured: what a document costs in this process for each byte of its text while its answer is
# taken apart (the answer, its text, the passages cut from it and what the model will read of them).
_BYTES_PER_TEXT_BYTE = 6
_BYTES_PER_CHUNK = 1500
_BYTES_PER_CHAR = 2 * _BYTES_PER_TEXT_BYTE  # most scripts take two bytes a character
_COPIES_OF_A_VECTOR = 4  # as it is made, checked, packed and written


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What each part of a run may take.

    Args:
        jobs: processes that read files.
        limits: what reading one file may take; its ``memory_bytes`` bounds each of the processes.
        ahead_bytes: documents that were read and wait to be taken.
        group_bytes: documents that were taken and wait for the model.
        largest_slice: texts that the model gets at once.
        note: what had to be smaller than asked for, for the user; empty when nothing had.
    """

    jobs: int
    limits: ExtractionLimits
    ahead_bytes: int
    group_bytes: int
    largest_slice: int = LARGEST_SLICE
    note: str = ""


def check_max_memory(max_memory_bytes: int) -> None:
    """Check that so much memory is enough for one process that reads, and what waits.

    Raises:
        UsageError: it is not; the message says how much is needed.
    """
    least = _MIN_CHILD_BYTES + _MIN_BUFFER_BYTES
    if max_memory_bytes < least:
        raise UsageError(
            f"--max-memory of {max_memory_bytes // _MIB} MiB is too small: a process that reads "
            f"files needs {_MIN_CHILD_BYTES // _MIB} MiB, and what waits for the model "
            f"{_MIN_BUFFER_BYTES // _MIB}; allow at least {least // _MIB} MiB"
        )


def plan_memory(
    max_memory_bytes: int | None, *, jobs: int, limits: ExtractionLimits, dim: int, lanes: int = 1
) -> MemoryPlan:
    """Share out memory among the parts of a run.

    Three eighths go to what waits, the rest to the processes that read; where there is not enough
    for all of these, fewer of them read.

    Args:
        max_memory_bytes: for everything but the model; None sets no limit beyond ``limits``.
        jobs: processes that are to read files.
        limits: what reading one file may take.
        dim: width D of the vectors.
        lanes: calls of the model that may run at once.

    Raises:
        UsageError: it is too little for one process; the message says how much is needed.
    """
    if max_memory_bytes is None:
        share = _FREE_BUFFER_BYTES // 2
        return MemoryPlan(jobs, limits, ahead_bytes=share // 2, group_bytes=share * (lanes + 1))
    check_max_memory(max_memory_bytes)
    most = max_memory_bytes - _MIN_CHILD_BYTES
    buffers = max(min(max_memory_bytes * 3 // 8, most), _MIN_BUFFER_BYTES)
    fitting = min(jobs, (max_memory_bytes - buffers) // _MIN_CHILD_BYTES)
    child = min(limits.memory_bytes, (max_memory_bytes - buffers) // fitting)
    # Half to documents that are just arriving, a sixth each to those ahead, those of the model, and
    # vectors.
    part = buffers // 6
    arriving = 2 * fitting + 1  # as many as the pool of processes looks ahead
    longest = min(limits.max_text_chars, 3 * part // arriving // _BYTES_PER_CHAR)
    calls = 2 * lanes + 1
    slice_size = part // (calls * _COPIES_OF_A_VECTOR * 4 * dim)
    return MemoryPlan(
        jobs=fitting,
        limits=replace(limits, memory_bytes=child, max_text_chars=longest),
        ahead_bytes=part,
        group_bytes=part,
        largest_slice=min(max(slice_size, 1), LARGEST_SLICE),
        note=_note(
            f"within --max-memory of {max_memory_bytes // _MIB:,} MiB,",
            [
                f"{fitting} of {jobs} processes read files" if fitting < jobs else "",
                f"each has {child // _MIB:,} MiB" if child < limits.memory_bytes else "",
                f"texts of more than {longest:,} characters are refused"
                if longest < limits.max_text_chars
                else "",
            ],
        ),
    )


def _note(beginning: str, parts: list[str]) -> str:
    said = ", ".join(part for part in parts if part)
    return f"{beginning} {said}" if said else ""


def result_bytes(text: str, chunks: int) -> int:
    """Return about what a document that was read takes in this process until it is stored."""
    # ASCII takes one byte a character, most other scripts two, some four
    width = 1 if text.isascii() else 2
    return len(text) * width * _BYTES_PER_TEXT_BYTE // 2 + chunks * _BYTES_PER_CHUNK
