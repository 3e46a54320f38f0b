"""Measuring a collection's searches by judged queries, and acting on what was found."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import ReadOnlyError
from app.models import Models
from app.open_collections import OpenCollections
from app.quality.evaluations import Measure, Measured, OnProgress, Subject
from indexer.collections.search_defaults import SearchDefaults
from indexer.embedder import ModelInfo
from indexer.errors import StaleCollectionError, UsageError
from indexer.evaluation.beir import load_beir
from indexer.evaluation.curve import quality_curve
from indexer.evaluation.judged_sets import JudgedSets
from indexer.evaluation.judgement_book import JudgementBook
from indexer.evaluation.judgement_export import judgement_files
from indexer.evaluation.judgements import read_judgements
from indexer.evaluation.plan import steps_of_model
from indexer.evaluation.study import EvaluationProgress
from indexer.evaluation.tuning import MIN_QUERIES, JudgedLegs, StepOutcome, tune
from indexer.evaluation.tuning_sets import judged_collection, judged_set
from indexer.evaluation.vectors import VectorFiles
from indexer.searching.fusion import DenseWeight
from indexer.wording import count_text

if TYPE_CHECKING:
    from app.services import Services
    from indexer.collections.collection import Collection
    from indexer.collections.generation import Generation
    from indexer.embedder import Embedder

__all__ = ["export_archive", "is_current", "make_default", "measuring"]


def measuring(collections: OpenCollections, models: Models, sets: JudgedSets) -> Measure:
    """Return what measures a subject, in whatever thread calls it.

    Args:
        collections: those that are open.
        models: those that are loaded.
        sets: what users brought.
    """

    def measure(subject: Subject, on_progress: OnProgress) -> Measured:
        on_progress(EvaluationProgress("Waiting for the model"))
        with collections.use(subject.collection) as opened:
            model = opened.config.model
        embedder = models.get(model)
        with collections.use(subject.collection) as opened, opened.using() as generation:
            opened.check_model(embedder.info)
            steps = _step_counts(embedder.info, opened.query_steps())
            judged, notes = _search(subject, opened, embedder, sets, steps, on_progress)
            weight = opened.search_defaults().dense_weight
            content = _content(opened, generation)
        outcomes: Mapping[int, StepOutcome] = {}
        if len(judged.qrels) < MIN_QUERIES:
            notes.append(
                f"Few judged queries ({len(judged.qrels)}): take this as a hint. From "
                f"{MIN_QUERIES} on it begins to tell, and some 50 settle it."
            )
        else:
            outcomes = _outcomes(judged, on_progress)
        on_progress(EvaluationProgress("Working out intervals"))
        curve = quality_curve(judged, dense_weight=weight)
        return Measured(curve, content, weight, outcomes, tuple(notes))

    return measure


def make_default(
    services: Services,
    collection: str,
    measured: Measured,
    *,
    steps: int | None = None,
    dense_weight: DenseWeight | None = None,
) -> None:
    """Have a collection be searched so where the user says nothing.

    Args:
        services: the parts of the app.
        collection: which.
        measured: what the choice is made by.
        steps: refinement steps of queries; None leaves them as they are.
        dense_weight: share of meaning against words; None leaves it as it is.

    Raises:
        ReadOnlyError: the app changes nothing.
        StaleCollectionError: the collection was rebuilt since it was measured.
        IndexerError: it cannot be written.
    """
    if services.is_read_only:
        raise ReadOnlyError("This app is read-only: the default cannot be changed here.")
    with services.collections.use(collection) as opened, opened.using() as generation:
        if _content(opened, generation) != measured.content:
            raise StaleCollectionError(
                "The collection was rebuilt since this was measured; measure it again."
            )
        before = opened.search_defaults()
        opened.set_search_defaults(
            SearchDefaults(
                steps=before.steps if steps is None else steps,
                dense_weight=before.dense_weight if dense_weight is None else dense_weight,
            )
        )


def is_current(services: Services, collection: str, measured: Measured) -> bool:
    """Return whether a collection is still the one that was measured."""
    with services.collections.use(collection) as opened, opened.using() as generation:
        return _content(opened, generation) == measured.content


def export_archive(book: JudgementBook) -> bytes:
    """Return a collection's judgements as a ZIP file in the BEIR layout, without documents."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in judgement_files(book).items():
            archive.writestr(name, text)
    return out.getvalue()


def _search(
    subject: Subject,
    opened: Collection,
    embedder: Embedder,
    sets: JudgedSets,
    steps: tuple[int, ...],
    on_progress: OnProgress,
) -> tuple[JudgedLegs, list[str]]:
    """Search for every judged query; return what was found, and what the reader should know."""
    if not subject.judged_by:
        judgements, missing = JudgementBook(opened.directory).judgements(opened.store.documents())
        if not judgements.queries:
            raise UsageError(
                "No hit has been judged as an answer yet. Search, and give a thumb up to the "
                "passages that answer."
            )
        notes = []
        if missing:
            notes.append(
                f"{count_text(missing, 'judgement')} left out: the documents are not in the "
                "collection any more."
            )
        found = judged_collection(
            opened, judgements, embedder, steps=steps, on_progress=on_progress
        )
        return found, notes
    chosen = sets.get(subject.judged_by)
    if not chosen.has_documents:
        judgements = read_judgements(chosen.folder, opened.store.documents(), split=subject.split)
        found = judged_collection(
            opened, judgements, embedder, steps=steps, on_progress=on_progress
        )
        return found, []
    judged = load_beir(chosen.folder, split=subject.split)
    notes = ["Documents of the set itself, each as one passage, at the steps of the queries."]
    with tempfile.TemporaryDirectory(prefix="gircse-quality-") as directory:
        files = VectorFiles(embedder, Path(directory), on_texts=_telling(chosen.name, on_progress))
        return judged_set(judged, files, steps=steps, on_progress=on_progress), notes


def _content(opened: Collection, generation: Generation) -> str:
    return f"{opened.id}/{generation.record.content}"


def _outcomes(judged: JudgedLegs, on_progress: OnProgress) -> dict[int, StepOutcome]:
    """Return what is best at each step count, and what it gives on queries not seen."""
    done: dict[int, StepOutcome] = {}

    def tell(outcome: StepOutcome) -> None:
        done[outcome.steps] = outcome
        progress = EvaluationProgress("Weighing meaning against words", len(done), len(judged.legs))
        on_progress(progress)

    tune([judged], steps=min(judged.legs), on_outcome=tell)
    return done


def _telling(name: str, on_progress: OnProgress) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        on_progress(EvaluationProgress(f"{name}: embedding", done, total))

    return tell


def _step_counts(info: ModelInfo, current: int) -> tuple[int, ...]:
    """Return the step counts to compare, with the one in use among them."""
    return tuple(sorted({*steps_of_model(None, info), *steps_of_model([current], info)}))
