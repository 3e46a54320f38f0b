"""Fills a new content from the live one until they agree, with progress.

What little changes at the end is left to ``finish``, which runs while nobody else writes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.collections.config import ContentSettings
from indexer.errors import FingerprintMismatchError, StorageError
from indexer.indexing.embedding import EmbeddingWriter
from indexer.reindexing.copying import ContentCopy

if TYPE_CHECKING:
    from indexer.collections.generation import Generation
    from indexer.documents import Chunk, Document
    from indexer.embedder import ModelInfo
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.reindexing.difference import Pending
    from indexer.reindexing.plan import ReindexPlan
    from indexer.reindexing.progress import Stopwatch

__all__ = ["ContentFilling", "Reader"]

_LITTLE = 256
"""Chunks that may be left to the end, where they are embedded while nobody else may write."""

_ROUNDS_ALIKE = 3  # a writer in the live generation may make up for one round by chance


class Reader:
    """What reads documents for the new content: a model, and what cuts texts for it.

    Args:
        settings: what the vectors shall be made with.
        embedder: loads a model by its name.
        resolve: finds what is known of a model by its name.
        lanes: calls of the model that may run at once.
    """

    def __init__(
        self,
        settings: ContentSettings,
        *,
        embedder: Callable[[str], DocumentEmbedder],
        resolve: Callable[[str], ModelInfo],
        lanes: int,
    ) -> None:
        self.lanes = lanes
        self._settings = settings
        self._embedder = embedder
        self._resolve = resolve

    @cached_property
    def model(self) -> DocumentEmbedder:
        """The loaded model.

        Raises:
            FingerprintMismatchError: it is not what it was when the rebuild was planned.
        """
        settings = self._settings
        loaded = self._embedder(settings.model)
        found = ContentSettings.new(
            loaded.info, steps=settings.steps, chunking=settings.chunking
        ).fingerprint
        differences = settings.fingerprint.differences(found)
        if differences:
            lines = "".join(f"\n  {line}" for line in differences)
            raise FingerprintMismatchError(
                f"model {settings.model!r} changed while it was being loaded (planned / "
                f"loaded):{lines}\nRun the command again"
            )
        return loaded

    @cached_property
    def cut(self) -> Callable[[Document], list[Chunk]]:
        """Cuts a document by the tokens of the model."""
        from indexer.indexing.chunking import Chunker

        tokenizer_file = self._resolve(self._settings.model).tokenizer_file
        return Chunker(tokenizer_file, self._settings.chunking).chunk


class ContentFilling:
    """Brings a draft's content to the documents of the live generation.

    Args:
        live: the live generation.
        target: the draft.
        plan: how documents are cut and embedded.
        reader: cuts and embeds them.
        watch: told how far it is.
        should_stop: asked between slices.
    """

    def __init__(
        self,
        live: Generation,
        target: Generation,
        plan: ReindexPlan,
        *,
        reader: Reader,
        watch: Stopwatch,
        should_stop: Callable[[], bool],
    ) -> None:
        self._live = live
        self._watch = watch
        self._writer = EmbeddingWriter(
            target.archive, lambda: reader.model, steps=plan.settings.steps, lanes=reader.lanes
        )
        self._embedded_before = watch.embedded
        self._should_stop = should_stop
        self._copy = ContentCopy(
            live,
            target,
            writer=self._writer,
            cut=reader.cut if plan.cuts_anew else None,
            shares_vectors=plan.shares_vectors,
            should_stop=should_stop,
            on_stored=self._note_stored,
        )

    @property
    def embedded(self) -> int:
        """Texts that the model has read."""
        return self._writer.embedded

    @property
    def reused(self) -> int:
        """Texts whose vectors were taken from the live generation."""
        return self._copy.taken_over

    @property
    def model_seconds(self) -> float:
        """Time that the model took."""
        return self._writer.model_seconds

    def fill(self) -> bool:
        """Copy until little is left; return False when it was stopped.

        Raises:
            StorageError: what is left does not become less.
        """
        before, alike = None, 0
        while True:
            pending = self.pending()
            alike = alike + 1 if pending == before else 0
            before = pending
            if alike == _ROUNDS_ALIKE and pending:
                raise self._disagreement(pending)
            total = max(self._live.ledger.totals().chunks, pending.chunks)
            self._watch.enter("embedding", done=total - pending.chunks, total=total)
            if not pending:
                return True
            if not self._copy.advance():
                return False
            if self.pending().chunks <= _LITTLE:
                return True

    def pending(self) -> Pending:
        """Return what is still to be done."""
        with self._copy.compare() as comparison:
            return comparison.pending()

    def finish(self) -> bool:
        """Copy the rest while nobody else writes; return False when it was stopped.

        Raises:
            StorageError: both contents do not agree even so.
        """
        if not self._copy.advance():
            return False
        pending = self.pending()
        if pending:
            raise self._disagreement(pending)
        return True

    def _disagreement(self, pending: Pending) -> StorageError:
        return StorageError(
            f"{pending.documents + pending.gone} documents and {pending.files} files of "
            f"{self._live.directory} still differ from their copies after these were made; the "
            "live generation stays as it is. Run `gircse verify`, then the same command again"
        )

    def _note_stored(self, documents: int, chunks: int) -> None:
        self._watch.embedded = self._embedded_before + self._writer.embedded
        self._watch.advance(chunks)
