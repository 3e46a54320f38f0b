"""What a rebuild will do, found out before anything is done.

Reads settings and asks what is known of models; loads none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.config import ContentSettings
from indexer.embedder import ModelError
from indexer.errors import UsageError
from indexer.reindexing.drafts import Draft, find_draft
from indexer.reindexing.request import IndexWish, ReindexRequest
from indexer.stores.opening import check_configured

if TYPE_CHECKING:
    from indexer.collections.generation import Generation
    from indexer.embedder import ModelInfo

__all__ = ["ReindexPlan", "make_plan"]


@dataclass(frozen=True, slots=True)
class ReindexPlan:
    """What a rebuild will do.

    Args:
        settings: what the vectors of the new generation are made with.
        changes: one line for each setting that changes, ``name: old / new``; none where the
            content stays and only the index is made anew.
        cuts_anew: whether documents are cut again.
        shares_vectors: whether texts that stay equal keep their vectors.
        wish: which index is wanted.
        draft: what an earlier run has done of it; None when there is nothing to go on with.
        discards: folder of a draft with other settings, which is thrown away; None for none.
        notes: sentences for the user.
    """

    settings: ContentSettings
    changes: tuple[str, ...]
    cuts_anew: bool
    shares_vectors: bool
    wish: IndexWish
    draft: Draft | None
    discards: str | None
    notes: tuple[str, ...]

    @property
    def makes_content(self) -> bool:
        """Whether documents are stored anew, rather than an index made over those there are."""
        return bool(self.changes)

    @property
    def may_embed(self) -> bool:
        """Whether the model may have to be asked."""
        return self.makes_content and (self.cuts_anew or not self.shares_vectors)


def make_plan(
    directory: Path,
    live: Generation,
    request: ReindexRequest,
    *,
    resolve: Callable[[str], ModelInfo],
) -> ReindexPlan:
    """Return what a request comes to.

    A request that says nothing of vectors goes on with a draft, if there is one.

    Args:
        directory: the collection's directory.
        live: its live generation.
        request: what is asked for.
        resolve: finds what is known of a model by its name.

    Raises:
        UsageError: the request makes no sense for this model or collection.
        ModelError: the model is not on this machine.
        StorageError: the settings do not say where the store is.
    """
    present = live.config.settings
    draft = find_draft(directory)
    notes: list[str] = []
    wanted = present
    if request.is_about_vectors:
        wanted = _asked_for(present, request, resolve)
    elif draft is not None:
        wanted = _as_drafted(draft, resolve)
        notes.append("Going on with the rebuild that was stopped.")
    else:
        notes += _outdated(present, resolve)
    changes = _changes(present, wanted)
    if not changes:
        wanted = present  # by the name that it has: it may be known by several
        if request.is_about_vectors:
            notes.append("The vectors are made with these settings already; only the index is new.")
    resumed = draft
    if draft is None or not changes or _changes(draft.settings, wanted):
        resumed = None
    wish = request.wish if resumed is None else request.wish.or_else(resumed.wish)
    check_configured(wish.store or live.record.store)
    return ReindexPlan(
        settings=wanted,
        changes=tuple(changes),
        cuts_anew=_cuts_anew(present, wanted),
        shares_vectors=_shares_vectors(present, wanted),
        wish=wish,
        draft=resumed,
        discards=draft.content if draft is not None and resumed is None else None,
        notes=tuple(notes),
    )


def _asked_for(
    present: ContentSettings, request: ReindexRequest, resolve: Callable[[str], ModelInfo]
) -> ContentSettings:
    info = resolve(request.model or present.model)
    chunking = request.chunking(present.chunking)
    vectors = request.vectors or present.vectors
    settings = ContentSettings.new(
        info, steps=info.default_steps, chunking=chunking, vectors=vectors
    )
    steps = request.steps
    if steps is None and settings.model == present.model:
        steps = present.steps
    if steps is None:
        return settings
    if not info.min_steps <= steps <= info.max_steps:
        raise UsageError(
            f"model {info.name!r} refines by {info.min_steps} to {info.max_steps} steps, "
            f"not {steps}; choose with --steps"
        )
    return replace(settings, fingerprint=replace(settings.fingerprint, steps=steps))


def _as_drafted(draft: Draft, resolve: Callable[[str], ModelInfo]) -> ContentSettings:
    """Return a draft's settings with the model as it is now: its weights may be others."""
    settings = draft.settings
    return ContentSettings.new(
        resolve(settings.model),
        steps=settings.steps,
        chunking=settings.chunking,
        vectors=settings.vectors,
    )


def _outdated(present: ContentSettings, resolve: Callable[[str], ModelInfo]) -> list[str]:
    try:
        info = resolve(present.model)
    except ModelError:
        return []  # an index is made without it
    now = ContentSettings.new(info, steps=present.steps, chunking=present.chunking)
    if not present.fingerprint.differences(now.fingerprint):
        return []
    return [
        f"The model {present.model} is not what it was when the vectors were made; they are used "
        f"as they are. With --model {present.model} everything is embedded anew."
    ]


def _changes(old: ContentSettings, new: ContentSettings) -> list[str]:
    changes = old.fingerprint.differences(new.fingerprint)
    if changes and old.model != new.model:
        changes.insert(0, f"model: {old.model} / {new.model}")
    if old.vectors != new.vectors:
        changes.append(f"vectors: {old.vectors} / {new.vectors}")
    return changes


def _shares_vectors(old: ContentSettings, new: ContentSettings) -> bool:
    """Return whether equal texts have equal vectors."""
    if old.vectors == "fp16" and new.vectors == "fp32":
        return False  # what was rounded away comes back from the model alone
    cut_alike = replace(new.fingerprint, chunking=old.fingerprint.chunking)
    return not old.fingerprint.differences(cut_alike)


def _cuts_anew(old: ContentSettings, new: ContentSettings) -> bool:
    """Return whether documents would be cut otherwise: by other sizes, or by another tokenizer."""
    if old.fingerprint.chunking != new.fingerprint.chunking:
        return True
    # Without refinement steps only what reads the text is compared.
    encoders = [replace(settings.fingerprint, steps=0) for settings in (old, new)]
    return bool(encoders[0].differences(encoders[1]))
