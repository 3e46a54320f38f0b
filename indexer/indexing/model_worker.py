"""The process that embeds on one device: reads texts from its parent and sends back vectors.

Unlike the one that reads files, it sees no strangers' formats, only texts; so it runs with the
parent's rights. It ends when the parent does.
"""

from __future__ import annotations

import queue
import threading
import traceback
from typing import Any, BinaryIO

from indexer.embedder import Embedder, ModelError, load_embedder
from indexer.extraction.child_pipes import (
    read_message,
    receive_requests,
    send_answer,
    take_over_pipes,
)

__all__ = ["main"]


def main() -> None:
    """Serve the parent on standard input and output until it closes them."""
    requests, answers = take_over_pipes()
    settings = read_message(requests)
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
        send_answer(answers, {"type": "refused", "message": str(error)})
        return
    send_answer(answers, {"type": "ready", "fingerprint": embedder.fingerprint})
    pending: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=receive_requests, args=(requests, pending), daemon=True).start()
    while True:
        _serve(embedder, pending.get(), answers)


def _serve(embedder: Embedder, request: dict[str, Any], answers: BinaryIO) -> None:
    try:
        vectors = embedder.embed_documents(request["texts"], steps=request["steps"])
    except Exception as error:  # sent to the parent, which decides what it means
        traceback.print_exc()
        send_answer(
            answers,
            {
                "type": "failed",
                "is_expected": isinstance(error, ModelError),
                "message": f"{error}" if isinstance(error, ModelError) else repr(error)[:2000],
            },
        )
        return
    rows, dim = vectors.shape
    send_answer(
        answers, {"type": "vectors", "rows": rows, "dim": dim}, vectors.astype("<f4").tobytes()
    )


if __name__ == "__main__":
    main()
