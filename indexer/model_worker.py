"""The process that embeds on one device: reads texts from its parent and sends back vectors.

Unlike the one that reads files, it sees no strangers' formats, only texts; so it runs with the
parent's rights. It ends when the parent does.
"""

from __future__ import annotations

import os
import queue
import threading
import traceback
from typing import Any, BinaryIO

from indexer.embedder import Embedder, ModelError, load_embedder
from indexer.extraction.protocol import LENGTH, decode_message, encode_message

__all__ = ["main"]


def main() -> None:
    """Serve the parent on standard input and output until it closes them."""
    requests, answers = _take_over_pipes()
    settings = _read_message(requests)
    if settings is None:
        return
    try:
        embedder = load_embedder(
            settings["model"],
            device=settings["device"],
            dtype=settings["dtype"],
            batch_tokens=settings["batch_tokens"],
        )
    except (ModelError, RuntimeError) as error:  # RuntimeError: torch's for a device that is not
        _send(answers, {"type": "refused", "message": str(error)})
        return
    _send(answers, {"type": "ready", "fingerprint": embedder.fingerprint})
    pending: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, pending), daemon=True).start()
    while True:
        _serve(embedder, pending.get(), answers)


def _serve(embedder: Embedder, request: dict[str, Any], answers: BinaryIO) -> None:
    try:
        vectors = embedder.embed_documents(request["texts"], steps=request["steps"])
    except Exception as error:  # sent to the parent, which decides what it means
        traceback.print_exc()
        _send(
            answers,
            {
                "type": "failed",
                "is_expected": isinstance(error, ModelError),
                "message": f"{error}" if isinstance(error, ModelError) else repr(error)[:2000],
            },
        )
        return
    rows, dim = vectors.shape
    _send(answers, {"type": "vectors", "rows": rows, "dim": dim}, vectors.astype("<f4").tobytes())


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the protocol off descriptors 0 and 1, so that a library's print cannot garble it."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, answers


def _receive(requests: BinaryIO, pending: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass on requests; end the process, in the middle of a batch too, when the parent is gone."""
    while (message := _read_message(requests)) is not None:
        pending.put(message)
    os._exit(0)


def _read_message(requests: BinaryIO) -> dict[str, Any] | None:
    head = requests.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = requests.read(length)
    return decode_message(body) if len(body) == length else None


def _send(answers: BinaryIO, message: dict[str, Any], content: bytes = b"") -> None:
    try:
        answers.write(encode_message(message) + content)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
