"""The child's side of the pipes to its parent: requests in, answers out."""

from __future__ import annotations

import os
import queue
from typing import BinaryIO

from indexer.extraction.protocol import LENGTH, Message, decode_message, encode_message

__all__ = ["read_message", "receive_requests", "send_answer", "take_over_pipes"]


def take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the protocol off descriptors 0 and 1, so that a library's print cannot garble it.

    Returns:
        Where requests come from, and where answers go.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, answers


def receive_requests(requests: BinaryIO, pending: queue.SimpleQueue[Message]) -> None:
    """Pass on requests; end the process, in the middle of its work too, when the parent is gone."""
    while (message := read_message(requests)) is not None:
        pending.put(message)
    os._exit(0)


def read_message(requests: BinaryIO) -> Message | None:
    """Return the next request; None when there will be none."""
    head = requests.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = requests.read(length)
    return decode_message(body) if len(body) == length else None


def send_answer(answers: BinaryIO, message: Message, content: bytes = b"") -> None:
    """Write an answer with the bytes that follow it; end the process when the parent is gone."""
    try:
        answers.write(encode_message(message) + content)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)
