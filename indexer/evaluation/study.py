"""One evaluation from folders to a report: reads, embeds, measures, averages."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from indexer.embedder import Embedder, Pooling, load_baseline
from indexer.errors import UsageError
from indexer.evaluation.beir import BeirSet, load_beir
from indexer.evaluation.evaluator import MeasuredRun, SetEvaluation
from indexer.evaluation.notes import notes
from indexer.evaluation.passages import Passages, cut_passages, whole_passages
from indexer.evaluation.plan import EvaluationPlan
from indexer.evaluation.results import AVERAGE, EvaluationReport, SetResult, StsResult
from indexer.evaluation.sts import SentencePairs, measure_sts
from indexer.evaluation.summary import average_matrix, average_runs, set_runs
from indexer.evaluation.vectors import VectorFiles
from indexer.indexing.chunking import Chunker, ChunkingConfig

__all__ = ["EvaluationProgress", "Study", "read_sets"]


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """How far an evaluation is.

    Args:
        phase: the set, and what is being done.
        done: texts embedded in this phase.
        total: texts to embed in this phase; 0 where none are.
    """

    phase: str
    done: int = 0
    total: int = 0


def read_sets(folders: Sequence[Path], *, split: str) -> list[BeirSet]:
    """Read every judged set.

    Raises:
        UsageError: a set cannot be used; see ``load_beir``.
    """
    resolved = [folder.resolve() for folder in folders]
    for folder in resolved:
        if resolved.count(folder) > 1:
            raise UsageError(f"{folder} is given twice; it would weigh double in the average")
    return [load_beir(folder, split=split) for folder in folders]


class Study:
    """One evaluation of one model.

    Args:
        plan: what to measure.
        embedder: the loaded model; None where nothing asks one.
        tokenizer_file: of the model; cuts documents where the plan says so.
        cache: where vectors are kept for the next evaluation; None keeps them for this one.
        variant: what besides the model's fingerprint decides its vectors.
        on_progress: told how far it is.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        embedder: Embedder | None,
        *,
        tokenizer_file: Path | None = None,
        cache: Path | None = None,
        variant: str = "",
        on_progress: Callable[[EvaluationProgress], None] = lambda progress: None,
    ) -> None:
        self._plan = plan
        self._embedder = embedder
        self._tokenizer_file = tokenizer_file
        self._cache = cache
        self._variant = variant
        self._on_progress = on_progress
        self._phase = ""
        self._single_passes: dict[Pooling, Embedder] = {}

    def run(self, sets: Sequence[BeirSet], pairs: Sequence[SentencePairs] = ()) -> EvaluationReport:
        """Measure every set, the average and every file of sentence pairs.

        Raises:
            IndexerError, ModelError: a set, the model or the cache cannot be used.
        """
        started = time.perf_counter()
        measured: list[list[MeasuredRun]] = []
        results: list[SetResult] = []
        with ExitStack() as stack:
            directory = self._cache or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="gircse-eval-"))
            )
            for judged in sets:
                runs, result = self._evaluate(judged, directory)
                measured.append(runs)
                results.append(result)
            sts = [self._correlate(sentences, directory) for sentences in pairs]
        info = None if self._embedder is None else self._embedder.info
        return EvaluationReport(
            model=None if info is None else info.name,
            fingerprint={} if self._embedder is None else self._embedder.fingerprint,
            settings=self._plan.as_dict(),
            sets=tuple(results),
            average=_average(results, measured) if len(results) > 1 else None,
            sts=tuple(sts),
            notes=notes(self._plan, has_sets=bool(sets), has_pairs=bool(pairs)),
            versions={
                name: version(name)
                for name in ("gircse-search", "numpy", "pytrec-eval-terrier", "scipy")
            },
            seconds=time.perf_counter() - started,
        )

    def _evaluate(self, judged: BeirSet, directory: Path) -> tuple[list[MeasuredRun], SetResult]:
        passages = self._passages(judged)
        evaluation = SetEvaluation(
            judged,
            passages,
            self._plan,
            files=None if self._embedder is None else self._files(self._embedder, directory),
            baseline=lambda pooling: self._files(self._single_pass(pooling), directory),
            on_phase=self._say,
        )
        runs = evaluation.run()
        self._say(f"{judged.name}: intervals")
        result = SetResult(
            name=judged.name,
            split=judged.split,
            documents=len(judged.documents),
            passages=len(passages),
            queries=len(judged.queries),
            unjudged_queries=judged.unjudged_queries,
            empty_documents=judged.empty_documents,
            truncated_passages=evaluation.truncated,
            runs=set_runs(runs),
            matrix=evaluation.matrix,
        )
        return runs, result

    def _passages(self, judged: BeirSet) -> Passages:
        if not self._plan.chunked:
            return whole_passages(judged.documents)
        if self._tokenizer_file is None:
            raise UsageError("cutting documents into passages needs a model's tokenizer")
        return cut_passages(judged.documents, Chunker(self._tokenizer_file, ChunkingConfig()))

    def _correlate(self, pairs: SentencePairs, directory: Path) -> StsResult:
        if self._embedder is None:
            raise UsageError(f"{pairs.name}: sentence pairs need a model")
        self._say(f"{pairs.name}: embedding")
        return measure_sts(pairs, self._files(self._embedder, directory), self._plan.steps)

    def _files(self, embedder: Embedder, directory: Path) -> VectorFiles:
        return VectorFiles(embedder, directory, variant=self._variant, on_texts=self._count_texts)

    def _single_pass(self, pooling: Pooling) -> Embedder:
        assert self._embedder is not None
        if pooling not in self._single_passes:
            self._single_passes[pooling] = load_baseline(self._embedder, pooling)
        return self._single_passes[pooling]

    def _say(self, phase: str) -> None:
        self._phase = phase
        self._on_progress(EvaluationProgress(phase))

    def _count_texts(self, done: int, total: int) -> None:
        self._on_progress(EvaluationProgress(self._phase, done, total))


def _average(results: Sequence[SetResult], measured: Sequence[Sequence[MeasuredRun]]) -> SetResult:
    """Return the average over sets, and the sums of what is counted."""
    matrices = [result.matrix for result in results if result.matrix is not None]
    return SetResult(
        name=AVERAGE,
        split=results[0].split,
        documents=sum(result.documents for result in results),
        passages=sum(result.passages for result in results),
        queries=sum(result.queries for result in results),
        unjudged_queries=sum(result.unjudged_queries for result in results),
        empty_documents=sum(result.empty_documents for result in results),
        truncated_passages=sum(result.truncated_passages for result in results),
        runs=average_runs(measured, [result.passages for result in results]),
        matrix=average_matrix(matrices) if matrices else None,
    )
