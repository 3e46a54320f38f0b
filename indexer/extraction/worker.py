"""The child process: reads the files its parent names, one at a time, within limits.

It assumes that a document may crash or take over the parser: its protocol runs on descriptors that
no parser knows, its answers are plain values, it can neither write files nor outlive its parent.
"""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from indexer.documents import Document
from indexer.errors import ExtractionError, IndexerError
from indexer.extraction.child_limits import limit_cpu, limit_resources
from indexer.extraction.child_pipes import (
    read_message,
    receive_requests,
    send_answer,
    take_over_pipes,
)
from indexer.extraction.protocol import (
    pack_chunks,
    pack_document,
    unpack_path,
)
from indexer.extraction.reading import FileContent, FileFacts, read_file
from indexer.indexing.chunking import Chunker, ChunkingConfig
from indexer.loaders import HEAD_BYTES, LEGACY_SUFFIXES, MEDIA_TYPES, detect, load
from indexer.loaders.faults import describe
from indexer.loaders.supervision import supervised

__all__ = ["Worker", "main"]

_MAX_FILES = 1000  # after so many files a fresh process takes over, whatever parsers may leak
_CPU_SLACK_S = 10
_MIB = 1024 * 1024


def main() -> None:
    """Serve the parent on standard input and output until it closes them."""
    requests, answers = take_over_pipes()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # parsers log what documents make them log
    settings = read_message(requests)
    if settings is None:
        return
    try:
        worker = Worker(settings, answers)
    except IndexerError as error:
        send_answer(answers, {"type": "refused", "message": str(error)})
        return
    limit_resources(settings["memory_bytes"])
    send_answer(answers, {"type": "ready"})
    pending: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=receive_requests, args=(requests, pending), daemon=True).start()
    for _ in range(_MAX_FILES):
        worker.serve(pending.get())
    # a request sent meanwhile is the parent's to repeat: it sees the pipe close
    os._exit(0)


class Worker:
    """Reads files and answers.

    Args:
        settings: ``tokenizer_file``, ``chunking`` and the limits.
        answers: where answers go.
    """

    def __init__(self, settings: dict[str, Any], answers: BinaryIO) -> None:
        self._chunker = Chunker(
            unpack_path(settings["tokenizer_file"]), ChunkingConfig(**settings["chunking"])
        )
        self._timeout_s = float(settings["timeout_s"])
        self._memory_bytes = int(settings["memory_bytes"])
        self._max_file_bytes = int(settings["max_file_bytes"])
        self._max_text_chars = int(settings["max_text_chars"])
        self._answers = answers
        self._place = ""

    def serve(self, request: dict[str, Any]) -> None:
        """Read one file and send what became of it."""
        limit_cpu(self._timeout_s + _CPU_SLACK_S)
        self._place = ""
        facts = FileFacts()
        answer: dict[str, Any] = {"sha256": None}
        try:
            self._read(request, facts, answer)
        except ExtractionError as error:
            answer |= self._failure(error)
        except MemoryError:
            answer |= self._failure(_out_of_memory())
        # a Rust panic is no Exception; it must cost this file only, like everything else
        except BaseException as error:
            answer |= self._failure(
                ExtractionError(
                    "crashed",
                    f"its parser failed: {describe(error)}",
                    hint="open it in the program that made it and save it again",
                )
            )
        size_and_time = {"size": facts.size, "mtime_ns": facts.mtime_ns}
        send_answer(self._answers, {"type": "result"} | answer | size_and_time)
        if answer.get("code") == "memory":
            os._exit(0)  # what is left of the address space may be too little for the next file

    def _read(self, request: dict[str, Any], facts: FileFacts, answer: dict[str, Any]) -> None:
        path = unpack_path(request["path"])
        content = read_file(path, max_bytes=self._max_file_bytes, facts=facts)
        answer["sha256"] = hashlib.sha256(content.data).hexdigest()
        media_type = detect(path, content.data[:HEAD_BYTES])
        if media_type is None:
            answer |= _skipped(path)
            return
        with supervised(self._report, max_text_chars=self._max_text_chars):
            document = load(
                content.data, source=request["source"], name=request["name"], media_type=media_type
            )
        self._report("its passages")
        if not document.sections:
            answer |= _no_text(content, document)
            return
        chunks = self._chunker.chunk(document)
        answer |= {
            "status": "ready",
            "document": pack_document(document),
            "chunks": pack_chunks(chunks),
            "code": None,
            "message": _left_out(document),
            "hint": None,
        }

    def _failure(self, error: ExtractionError) -> dict[str, Any]:
        message = error.message
        if error.code == "memory":
            place = f" at {self._place}" if self._place and self._place not in message else ""
            message = f"{message}{place} (limit {self._memory_bytes // _MIB:,} MiB)"
        status = "skipped" if error.code == "binary" else "failed"
        return {"status": status, "code": error.code, "message": message, "hint": error.hint}

    def _report(self, place: str) -> None:
        self._place = place
        send_answer(self._answers, {"type": "progress", "place": place})


def _skipped(path: Path) -> dict[str, Any]:
    known = LEGACY_SUFFIXES.get(path.suffix.lower())
    if known is not None:
        message, _, hint = known.partition(": ")
        return {"status": "skipped", "code": "unsupported", "message": message, "hint": hint}
    return {
        "status": "skipped",
        "code": "binary",
        "message": "it is binary data of no format that can be read",
        "hint": "nothing to do, unless it should be text: then it is damaged",
    }


def _no_text(content: FileContent, document: Document) -> dict[str, Any]:
    if not content.data.strip():
        return {
            "status": "no_text",
            "code": "empty",
            "message": "the file is empty"
            + (f" ({content.size} bytes of white space)" if content.size else " (0 bytes)"),
            "hint": "",
        }
    media = MEDIA_TYPES[document.media_type]
    pages = document.metadata.get("pages")
    where = f"on {pages} {'page' if pages == '1' else 'pages'}: scanned?"
    return {
        "status": "no_text",
        "code": "no_text",
        "message": f"no text {where if pages else f'in the {media.label} file'}",
        "hint": "run text recognition (OCR) on it, then index again" if media.binary else "",
    }


def _left_out(document: Document) -> str | None:
    pages = document.metadata.get("unreadable_pages")
    return None if pages is None else f"some pages could not be read and were left out: {pages}"


def _out_of_memory() -> ExtractionError:
    return ExtractionError(
        "memory",
        "reading it took more memory than is allowed",
        hint="split the file into smaller ones, or allow more memory",
    )


if __name__ == "__main__":
    main()
