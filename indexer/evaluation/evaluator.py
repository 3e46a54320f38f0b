"""Runs over one judged set: every way of searching that was asked for, query by query.

Everything is embedded once; the runs only rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.embedder import Pooling
from indexer.evaluation.beir import BeirSet
from indexer.evaluation.dense import nearest
from indexer.evaluation.feedback import with_feedback
from indexer.evaluation.hybrid import LegSearch, fuse_by_default, fused_rankings
from indexer.evaluation.latency import embedding_ms, median_ms, spread
from indexer.evaluation.lexical import LexicalIndex, lexical_index
from indexer.evaluation.maxsim import nearest_by_sentence, split_sentences
from indexer.evaluation.metrics import QueryScores, score_rankings
from indexer.evaluation.passages import Passages
from indexer.evaluation.plan import EvaluationPlan
from indexer.evaluation.results import Method, StepMatrix
from indexer.evaluation.vectors import StepVectors, VectorFiles

__all__ = ["MeasuredRun", "SetEvaluation"]

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One way of searching on one set, with its scores query by query."""

    method: Method
    steps: int | None
    document_steps: int | None
    scores: QueryScores
    ms_per_query: float
    texts_per_second: float | None


@dataclass(frozen=True, slots=True)
class _Embedded:
    """A set embedded by one model.

    Args:
        queries: Q queries at each step count.
        passages: M passages at each step count.
        embed_ms: median time of one query's vector at each step count.
    """

    queries: StepVectors
    passages: StepVectors
    embed_ms: Mapping[int, float]


class SetEvaluation:
    """The runs over one set.

    Args:
        judged: the set.
        passages: what its documents are searched as.
        plan: what to measure.
        files: embeds; None where no run asks a model.
        baseline: gives what embeds as a baseline of a single pass does.
        on_phase: told what is being done.
    """

    def __init__(
        self,
        judged: BeirSet,
        passages: Passages,
        plan: EvaluationPlan,
        *,
        files: VectorFiles | None,
        baseline: Callable[[Pooling], VectorFiles],
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self._judged = judged
        self._passages = passages
        self._plan = plan
        self._files = files
        self._baseline = baseline
        self._on_phase = on_phase
        self._texts = list(judged.queries.values())  # Q
        self._sample = spread(range(len(self._texts)))
        self.truncated = 0
        self.matrix: StepMatrix | None = None

    def run(self) -> list[MeasuredRun]:
        """Measure everything that the plan asks for, in the order of the table."""
        runs: list[MeasuredRun] = []
        embedded = None if self._files is None else self._embed(self._files)
        with ExitStack() as stack:
            index = None
            if self._plan.is_lexical or "hybrid" in self._plan.modes:
                self._say("indexing the words")
                index = stack.enter_context(lexical_index(self._passages))
            if self._plan.is_lexical and index is not None:
                runs.append(self._lexical(index))
            if embedded is not None:
                runs += self._baselines(embedded)
                if "dense" in self._plan.modes:
                    runs += [self._dense("dense", embedded, step) for step in self._plan.steps]
                if "hybrid" in self._plan.modes and index is not None:
                    runs += self._hybrid(embedded, index)
                if self._plan.matrix:
                    self.matrix = self._matrix(embedded)
        return runs

    def _embed(self, files: VectorFiles) -> _Embedded:
        """Embed queries and passages at every step count that some run needs."""
        plan, base = self._plan, files.embedder.info.min_steps
        has_base = bool({"mean", "rocchio", "maxsim"} & set(plan.baselines))
        queries = {*plan.steps, *([base] if has_base else [])}
        passages = {plan.document_steps_for(step) for step in plan.steps}
        if plan.matrix:
            passages |= set(plan.steps)
        if has_base:
            passages.add(base)
        return self._embed_at(files, sorted(queries), sorted(passages))

    def _embed_at(self, files: VectorFiles, queries: list[int], passages: list[int]) -> _Embedded:
        self._say("embedding")
        embedded = files.embed("document", self._passages.texts, passages)
        asked = files.embed("query", self._texts, queries)
        self.truncated = max(self.truncated, embedded.truncated)
        self._say("timing queries")
        sample = [self._texts[number] for number in self._sample]
        return _Embedded(asked, embedded, embedding_ms(files.embedder, sample, queries))

    def _dense(
        self,
        method: Method,
        embedded: _Embedded,
        step: int,
        *,
        has_steps: bool = True,
        change: Callable[[Vectors, Vectors], Vectors] = lambda queries, passages: queries,
    ) -> MeasuredRun:
        """Rank by cosine, after ``change`` of the queries in view of the passages."""
        self._say(f"ranking: {method}")
        document_step = self._plan.document_steps_for(step) if method == "dense" else step
        queries, passages = embedded.queries.vectors[step], embedded.passages.vectors[document_step]

        def search(rows: Vectors) -> NDArray[np.int64]:
            return nearest(change(rows, passages), passages, top_k=self._passages.depth)[0]

        return MeasuredRun(
            method=method,
            steps=step if has_steps else None,
            document_steps=document_step if has_steps else None,
            scores=self._score(self._passages.rank_documents(row) for row in search(queries)),
            ms_per_query=embedded.embed_ms[step]
            + median_ms(lambda number: search(queries[number : number + 1]), self._sample),
            texts_per_second=embedded.passages.texts_per_second(document_step),
        )

    def _lexical(self, index: LexicalIndex) -> MeasuredRun:
        self._say("ranking: lexical")
        places = {chunk_id: place for place, chunk_id in enumerate(self._passages.chunk_ids())}
        depth = self._passages.depth
        rankings = (
            [places[hit.chunk_id] for hit in index.search(text, top_k=depth)]
            for text in self._texts
        )
        return MeasuredRun(
            method="lexical",
            steps=None,
            document_steps=None,
            scores=self._score(map(self._passages.rank_documents, rankings)),
            ms_per_query=median_ms(
                lambda number: index.search(self._texts[number], top_k=depth), self._sample
            ),
            texts_per_second=None,
        )

    def _hybrid(self, embedded: _Embedded, index: LexicalIndex) -> list[MeasuredRun]:
        self._say("ranking: hybrid")
        document_steps = {step: self._plan.document_steps_for(step) for step in self._plan.steps}
        queries = {step: embedded.queries.vectors[step] for step in self._plan.steps}
        vectors = {
            step: embedded.passages.vectors[document_steps[step]] for step in self._plan.steps
        }
        search = LegSearch(self._passages, index, vectors)
        legs = search.search(self._texts, queries)

        first = self._plan.steps[0]  # looking for passages takes the same time at every step count

        def ask(number: int) -> None:
            asked = {first: queries[first][number : number + 1]}
            fuse_by_default(search.search([self._texts[number]], asked)[first][0])

        search_ms = median_ms(ask, self._sample)
        return [
            MeasuredRun(
                method="hybrid",
                steps=step,
                document_steps=document_steps[step],
                scores=self._score(fused_rankings(legs[step], self._passages)),
                ms_per_query=embedded.embed_ms[step] + search_ms,
                texts_per_second=embedded.passages.texts_per_second(document_steps[step]),
            )
            for step in self._plan.steps
        ]

    def _baselines(self, embedded: _Embedded) -> list[MeasuredRun]:
        assert self._files is not None
        base = self._files.embedder.info.min_steps
        runs: list[MeasuredRun] = []
        for name in self._plan.baselines:
            if name == "rocchio":
                runs.append(
                    self._dense(name, embedded, base, has_steps=False, change=with_feedback)
                )
            elif name == "maxsim":
                runs.append(self._maxsim(self._files, embedded, base))
            elif name == "mean" and base == 0:
                # The encoder's own pooled vector is what step 0 is.
                runs.append(self._dense(name, embedded, base, has_steps=False))
            elif name != "bm25":
                alone = self._embed_at(self._baseline(name), [0], [0])
                runs.append(self._dense(name, alone, 0, has_steps=False))
        return runs

    def _maxsim(self, files: VectorFiles, embedded: _Embedded, base: int) -> MeasuredRun:
        self._say("embedding sentences")
        sentences = split_sentences(self._passages.texts)
        vectors = files.embed("document", sentences.texts, [base])
        queries = embedded.queries.vectors[base]

        def search(rows: Vectors) -> NDArray[np.int64]:
            return nearest_by_sentence(
                rows, sentences, vectors.vectors[base], top_k=self._passages.depth
            )

        self._say("ranking: maxsim")
        return MeasuredRun(
            method="maxsim",
            steps=None,
            document_steps=None,
            scores=self._score(self._passages.rank_documents(row) for row in search(queries)),
            ms_per_query=embedded.embed_ms[base]
            + median_ms(lambda number: search(queries[number : number + 1]), self._sample),
            texts_per_second=len(self._passages) / max(vectors.seconds[base], 1e-9),
        )

    def _matrix(self, embedded: _Embedded) -> StepMatrix:
        self._say("ranking: every pairing of steps")
        steps = self._plan.steps
        depth = self._passages.depth

        def ndcg(query_step: int, document_step: int) -> float:
            queries = embedded.queries.vectors[query_step]
            places, _ = nearest(queries, embedded.passages.vectors[document_step], top_k=depth)
            return self._score(map(self._passages.rank_documents, places)).mean("ndcg@10")

        rows = tuple(tuple(ndcg(query, document) for document in steps) for query in steps)
        return StepMatrix(query_steps=steps, document_steps=steps, ndcg_at_10=rows)

    def _score(self, rankings: Iterable[list[str]]) -> QueryScores:
        return score_rankings(
            self._judged.qrels, dict(zip(self._judged.queries, rankings, strict=True))
        )

    def _say(self, phase: str) -> None:
        self._on_phase(f"{self._judged.name}: {phase}")
