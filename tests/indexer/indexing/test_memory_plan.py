"""What a run may take is shared out so that all of it fits."""

from __future__ import annotations

import gc
import json
import tracemalloc
from pathlib import Path

import pytest

from indexer.documents import Document, Section, document_id, embedding_text, text_hash
from indexer.errors import UsageError
from indexer.extraction import ExtractionLimits, ExtractionRequest
from indexer.extraction.protocol import decode_message, decode_result, pack_chunks, pack_document
from indexer.indexing.chunking import Chunker, ChunkingConfig
from indexer.indexing.memory_plan import plan_memory, result_bytes
from tests.indexer.fake_model import write_tokenizer

MIB = 1024 * 1024


def plan(max_mb: int | None, *, jobs: int = 4, dim: int = 384, lanes: int = 1):
    limits = ExtractionLimits()
    limit = None if max_mb is None else max_mb * MIB
    return plan_memory(limit, jobs=jobs, limits=limits, dim=dim, lanes=lanes)


@pytest.mark.parametrize("max_mb", [384, 500, 1024, 2048, 6000, 100_000])
@pytest.mark.parametrize("jobs", [1, 3, 16])
def test_all_parts_together_fit(max_mb: int, jobs: int) -> None:
    dim, lanes = 3584, 2
    made = plan(max_mb, jobs=jobs, dim=dim, lanes=lanes)
    assert 1 <= made.jobs <= jobs
    arriving = (2 * made.jobs + 1) * made.limits.max_text_chars * 12
    vectors = (2 * lanes + 1) * 4 * made.largest_slice * dim * 4
    buffered = made.ahead_bytes + made.group_bytes + arriving + vectors
    assert made.jobs * made.limits.memory_bytes + buffered <= max_mb * MIB
    assert made.limits.memory_bytes >= 256 * MIB
    assert made.limits.max_text_chars > 100_000
    assert made.largest_slice >= 4


def test_too_little_is_refused_with_what_is_needed() -> None:
    with pytest.raises(UsageError, match=r"--max-memory of 300 MiB .* at least 384 MiB"):
        plan(300)


def test_what_had_to_be_smaller_is_said() -> None:
    assert plan(None).note == plan(100_000).note == ""
    note = plan(1024).note
    assert note == (
        "within --max-memory of 1,024 MiB, 2 of 4 processes read files, each has 320 MiB, "
        "texts of more than 3,355,443 characters are refused"
    )


def test_without_a_limit_files_have_their_own() -> None:
    made = plan(None, jobs=7)
    assert (made.jobs, made.limits) == (7, ExtractionLimits())


@pytest.mark.parametrize("sentence", ["Plain words of a sentence. ", "Слова предложения. "])
def test_what_a_document_takes_is_not_underrated(tmp_path: Path, sentence: str) -> None:
    source = "/some/file.txt"
    text = sentence * (2_000_000 // len(sentence))
    document = Document(document_id(source), source, text, "file", "text", (Section(0, len(text)),))
    chunks = Chunker(write_tokenizer(tmp_path), ChunkingConfig()).chunk(document)
    answer = {
        **{"status": "ready", "sha256": "0" * 64, "size": len(text), "mtime_ns": 1},
        **{"document": pack_document(document), "chunks": pack_chunks(chunks)},
        **{"code": None, "message": None, "hint": None},
    }
    message = json.dumps(answer, ensure_ascii=False).encode()
    del document, chunks, answer
    gc.collect()
    tracemalloc.start()
    result = decode_result(
        decode_message(message), ExtractionRequest(Path(source), source, "file"), seconds=0.0
    )
    arriving = tracemalloc.get_traced_memory()[1] + len(message)
    texts = {text_hash(words): words for words in map(embedding_text, result.chunks)}
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(texts) > 1
    assert arriving < 12 * len(text)
    assert kept < result_bytes(text, len(result.chunks))
