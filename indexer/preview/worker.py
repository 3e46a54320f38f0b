"""The child process of the previews: reads the files its parent names, one at a time.

Like the one of the extraction it assumes that a document may crash or take over its parser.
"""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
import warnings
from collections.abc import Callable
from typing import BinaryIO

from indexer.errors import ExtractionError
from indexer.extraction.child_limits import limit_cpu, limit_resources
from indexer.extraction.child_pipes import (
    read_message,
    receive_requests,
    send_answer,
    take_over_pipes,
)
from indexer.extraction.protocol import Message
from indexer.extraction.reading import read_file
from indexer.loaders.faults import damaged, out_of_memory
from indexer.preview.protocol import unpack_request
from indexer.preview.values import PreviewRequest

__all__ = ["main"]


def main() -> None:
    """Serve the parent on standard input and output until it closes them."""
    requests, answers = take_over_pipes()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    settings = read_message(requests)
    if settings is None:
        return
    limit_resources(settings["memory_bytes"])
    send_answer(answers, {"type": "ready"})
    pending: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=receive_requests, args=(requests, pending), daemon=True).start()
    while True:
        limit_cpu(settings["timeout_s"])
        _serve(pending.get(), answers, max_file_bytes=settings["max_file_bytes"])


def _serve(message: Message, answers: BinaryIO, *, max_file_bytes: int) -> None:
    try:
        answer = _preview(unpack_request(message), max_file_bytes) | {"type": "preview"}
    except ExtractionError as error:
        answer = _refusal(error)
    except MemoryError:
        answer = _refusal(out_of_memory("it"))
    # a Rust panic is no Exception; it must cost this file only, like everything else
    except BaseException as error:
        answer = _refusal(damaged("the file", error))
    send_answer(answers, answer)
    if answer.get("code") == "memory":
        os._exit(0)  # what is left of the address space may be too little for the next file


def _refusal(error: ExtractionError) -> Message:
    return {
        "type": "refused",
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
    }


def _preview(request: PreviewRequest, max_file_bytes: int) -> Message:
    content = read_file(request.path, max_bytes=max_file_bytes).data
    if hashlib.sha256(content).hexdigest() != request.sha256:
        raise ExtractionError(
            "changed",
            "the file was changed since it was indexed",
            hint="index it again to see it as it is now",
        )
    return _parser(request.media_type)(content, request)


def _parser(media_type: str) -> Callable[[bytes, PreviewRequest], Message]:
    """Return what shows a format; imported here, so that the others cost nothing."""
    match media_type:
        case "pdf":
            from indexer.preview.pdf_page import draw_page

            return draw_page
        case "markdown" | "html":
            from indexer.preview.markup import show_markup

            return show_markup
        case "csv" | "xlsx":
            from indexer.preview.table import show_table

            return show_table
        case _:
            from indexer.preview.listing import show_listing

            return show_listing
