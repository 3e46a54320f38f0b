"""What a set's documents become before they are searched: one passage each, or real chunks.

Rankings of passages turn into rankings of documents here: a document stands where its best passage
stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from indexer.documents import Chunk, Document, Section, embedding_text
from indexer.evaluation.beir import BeirDocument
from indexer.evaluation.metrics import RANKING_DEPTH
from indexer.indexing.chunking import Chunker

__all__ = ["Passages", "cut_passages", "whole_passages"]


@dataclass(frozen=True, slots=True)
class Passages:
    """What is embedded and indexed of one set: M passages of N documents.

    Args:
        documents: the N documents, as the store takes them.
        chunks: the M passages, those of one document together.
        texts: what the model reads of each passage.
        depth: how many passages hold at least ``RANKING_DEPTH`` documents, if there are so many.
    """

    documents: tuple[Document, ...]
    chunks: tuple[Chunk, ...]
    texts: tuple[str, ...]
    depth: int

    def __len__(self) -> int:
        return len(self.chunks)

    def chunk_ids(self) -> list[str]:
        """Return the M ids of the passages."""
        return [chunk.id for chunk in self.chunks]

    def rank_documents(self, positions: Iterable[int]) -> list[str]:
        """Return ids of documents in the order of their best passages.

        Args:
            positions: passages by their places among ``chunks``, best first.
        """
        ranked: dict[str, None] = {}
        for position in positions:
            ranked[self.chunks[position].document_id] = None
            if len(ranked) == RANKING_DEPTH:
                break
        return list(ranked)


def whole_passages(documents: Sequence[BeirDocument]) -> Passages:
    """Take each document as one passage; the model cuts what is too long for it."""
    stored = tuple(map(_document, documents))
    chunks = tuple(
        Chunk(
            id=document.id,
            document_id=document.id,
            text=document.text,
            start=0,
            end=len(document.text),
            page=None,
            context=document.title,
        )
        for document in stored
    )
    texts = tuple(document.full_text for document in documents)
    return Passages(stored, chunks, texts, depth=RANKING_DEPTH)


def cut_passages(documents: Sequence[BeirDocument], chunker: Chunker) -> Passages:
    """Cut each document as indexing does."""
    stored = tuple(map(_document, documents))
    cut = [chunker.chunk(document) for document in stored]
    chunks = tuple(chunk for found in cut for chunk in found)
    most = max(map(len, cut), default=1)
    texts = tuple(map(embedding_text, chunks))
    return Passages(stored, chunks, texts, depth=RANKING_DEPTH * most)


def _document(document: BeirDocument) -> Document:
    # A title without a text is the text: no passage is empty.
    title = document.title if document.text else ""
    text = document.text or document.title
    return Document(
        id=document.id,
        source=document.id,
        text=text,
        title=title,
        media_type="text",
        sections=(Section(0, len(text)),),
    )
