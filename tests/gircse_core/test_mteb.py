"""Our models under mteb's own tasks and metrics, on the sample corpus."""

from __future__ import annotations

import csv
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gircse_core.embedder import GircseEmbedder
from gircse_core.errors import GircseError, InputError, StepCountError
from gircse_core.mteb import MtebEncoder
from gircse_core.registry import resolve
from tests.gircse_core.models import TEXTS

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"


@pytest.fixture(scope="module")
def mteb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        # At its first import mteb makes a folder for results in the user's home.
        patch.setenv("MTEB_CACHE", str(tmp_path_factory.mktemp("mteb")))
        yield pytest.importorskip("mteb", reason="needs pip install 'gircse-search[mteb]'")


@pytest.fixture(scope="module")
def documents() -> dict[str, str]:
    """The sample's plain-text documents, by the ids that the judgements use."""
    files = (SAMPLE / "documents").rglob("*.*")
    return {
        file.relative_to(SAMPLE / "documents").as_posix(): file.read_text(encoding="utf-8")
        for file in sorted(files)
        if file.suffix in {".md", ".txt"}
    }


@pytest.fixture(scope="module")
def queries() -> list[dict[str, str]]:
    lines = (SAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def judgements(documents: dict[str, str]) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    with (SAMPLE / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["corpus-id"] in documents:
                qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return qrels


def _metadata(name: str, kind: str, score: str, *, prompt: Any = None) -> Any:
    from mteb.abstasks.task_metadata import TaskMetadata

    return TaskMetadata(
        name=name,
        description="Made from the sample corpus.",
        dataset={"path": "none", "revision": "none"},
        type=kind,
        category="t2t",
        eval_langs=["eng-Latn"],
        main_score=score,
        prompt=prompt,
    )


@pytest.fixture(scope="module")
def retrieval(mteb, documents, queries, judgements) -> AbsTask:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval

    class SampleRetrieval(AbsTaskRetrieval):
        metadata = _metadata("SampleRetrieval", "Retrieval", "ndcg_at_10")

        def load_data(self, num_proc=None, **_: object) -> None:
            corpus = [{"id": key, "title": "", "text": text} for key, text in documents.items()]
            asked = [
                {"id": query["_id"], "text": query["text"]}
                for query in queries
                if query["_id"] in judgements
            ]
            split = {
                "corpus": Dataset.from_list(corpus),
                "queries": Dataset.from_list(asked),
                "relevant_docs": judgements,
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return SampleRetrieval()


@pytest.fixture(scope="module")
def pairs(queries) -> dict[str, list[Any]]:
    """Each query with its own passage (5), and with the one of another query (0)."""
    some = queries[:30]
    others = some[7:] + some[:7]
    return {
        "sentence1": [query["text"] for query in some + some],
        "sentence2": [query["passage"] for query in some + others],
        "score": [5.0] * len(some) + [0.0] * len(others),
    }


@pytest.fixture(scope="module")
def similarity(mteb, pairs) -> AbsTask:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskSTS

    class SampleSTS(AbsTaskSTS):
        metadata = _metadata("SampleSTS", "STS", "cosine_spearman", prompt="Same meaning?")

        def load_data(self, num_proc=None, **_: object) -> None:
            self.dataset = {"test": Dataset.from_dict(pairs)}
            self.data_loaded = True

    return SampleSTS()


def _evaluate(encoder: MtebEncoder, task: AbsTask, cache: Any = None) -> dict[str, Any]:
    import mteb

    result = mteb.evaluate(encoder, task, cache=cache, show_progress_bar=False)
    return result.task_results[0].scores["test"][0]


def _encode(encoder: MtebEncoder, texts: list[str], metadata: Any, **options: Any) -> np.ndarray:
    from mteb._create_dataloaders import _create_dataloader_from_texts

    return encoder.encode(
        _create_dataloader_from_texts(texts),
        task_metadata=metadata,
        hf_split="test",
        hf_subset="default",
        **options,
    )


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 4])
def test_retrieval_scores_are_those_of_our_own_vectors(
    steps, checkpoints, retrieval, documents, queries, judgements
):
    import pytrec_eval

    folder = str(checkpoints["minilm_adapted"])
    scores = _evaluate(MtebEncoder(folder, steps, dtype="float32"), retrieval)

    embedder = GircseEmbedder(folder, dtype="float32")
    asked = [query for query in queries if query["_id"] in judgements]
    cosines = (
        embedder.embed_queries([query["text"] for query in asked], steps)
        @ embedder.embed_documents([text.strip() for text in documents.values()], steps).T
    )
    run = {
        query["_id"]: dict(zip(documents, map(float, row), strict=True))
        for query, row in zip(asked, cosines, strict=True)
    }
    evaluator = pytrec_eval.RelevanceEvaluator(judgements, {"ndcg_cut.10"})
    expected = np.mean([value["ndcg_cut_10"] for value in evaluator.evaluate(run).values()])
    assert len(asked) >= 50
    assert scores["main_score"] == pytest.approx(expected, abs=1e-5)  # mteb rounds to 5 digits
    if steps == 0:
        assert scores["main_score"] > 0.7  # all-MiniLM-L6-v2 knows its way around the sample


def test_similarity_scores_are_those_of_our_own_vectors(checkpoints, similarity, pairs):
    from scipy.stats import spearmanr

    folder = str(checkpoints["minilm_adapted"])
    scores = _evaluate(MtebEncoder(folder, 3, dtype="float32"), similarity)

    embedder = GircseEmbedder(folder, dtype="float32")
    first = embedder.embed_documents(pairs["sentence1"], 3)
    second = embedder.embed_documents(pairs["sentence2"], 3)
    expected = spearmanr((first * second).sum(axis=1), pairs["score"]).statistic
    assert scores["cosine_spearman"] == pytest.approx(expected, abs=1e-4)
    assert scores["spearman"] == pytest.approx(expected, abs=1e-4)


def test_steps_change_the_vectors_and_the_name_under_which_results_are_kept(
    mteb, checkpoints, similarity, tmp_path
):
    folder = str(checkpoints["prefix"])
    cache = mteb.ResultCache(tmp_path)
    encoders = [MtebEncoder(folder, steps, dtype="float32") for steps in (0, 5)]
    vectors = [_encode(encoder, TEXTS, similarity.metadata) for encoder in encoders]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    scores = [_evaluate(encoder, similarity, cache)["main_score"] for encoder in encoders]
    assert scores[0] != scores[1]
    kept = sorted(file.parts[-3] for file in tmp_path.rglob("SampleSTS.json"))
    assert kept == ["gircse__prefix@0", "gircse__prefix@5"]


def test_what_mteb_is_told_of_a_model(mteb, checkpoints):
    from mteb.models import EncoderProtocol

    encoder = MtebEncoder(dtype="float32")
    meta = encoder.mteb_model_meta
    steps = resolve("gircse-minilm").default_steps
    assert isinstance(encoder, EncoderProtocol)
    assert meta.name == f"gircse/gircse-minilm@{steps}"
    assert (meta.embed_dim, meta.max_tokens, meta.license) == (384, 256, "apache-2.0")
    assert meta.similarity_fn_name.value == "cosine"
    assert meta.use_instructions is False
    assert meta.to_dict()["modalities"] == ["text"]

    tuned = MtebEncoder(str(checkpoints["qwen2"]), 2, dtype="float32").mteb_model_meta
    rounded = MtebEncoder(str(checkpoints["qwen2"]), 2, dtype="bfloat16").mteb_model_meta
    assert tuned.name == "gircse/qwen2@2"
    assert tuned.use_instructions is True
    assert tuned.license is None
    assert len({meta.revision, tuned.revision, rounded.revision}) == 3


@pytest.fixture(scope="module")
def instructed(mteb, checkpoints) -> MtebEncoder:
    return MtebEncoder(str(checkpoints["qwen2"]), 2, dtype="float32")


def _prompted(task: str, text: str) -> str:
    return f"Instruct: {task}\nQuery:{text}"


def _same(vectors: np.ndarray, encoder: MtebEncoder, prompts: list[str]) -> bool:
    expected = GircseEmbedder(encoder.model.info, dtype="float32").embed_documents(prompts, 2)
    return bool(np.abs(vectors - expected).max() < 1e-5)


@pytest.mark.parametrize(
    ("kind", "prompt", "query_task", "document_task"),
    [
        ("Retrieval", "Find it.", "Find it.", None),
        ("Retrieval", {"query": "Find it."}, "Find it.", None),
        ("Retrieval", {"query": "Find it.", "document": "It."}, "Find it.", "It."),
        ("Reranking", {"query": "Find it."}, "Find it.", "Find it."),
    ],
)
def test_queries_and_documents_have_prompts_of_their_own(
    kind, prompt, query_task, document_task, instructed
):
    from mteb.types import PromptType

    metadata = _metadata("Prompted", kind, "ndcg_at_10", prompt=prompt)
    asked = _encode(instructed, TEXTS, metadata, prompt_type=PromptType.query)
    assert _same(asked, instructed, [_prompted(query_task, text) for text in TEXTS])
    found = _encode(instructed, TEXTS, metadata, prompt_type=PromptType.document)
    as_read = [_prompted(document_task, text) if document_task else text for text in TEXTS]
    assert _same(found, instructed, as_read)


def test_both_sides_of_a_symmetric_task_carry_the_instruction(instructed, similarity):
    vectors = _encode(instructed, TEXTS, similarity.metadata)
    assert _same(vectors, instructed, [_prompted("Same meaning?", text) for text in TEXTS])


def test_a_task_without_words_of_its_own_takes_those_of_its_kind(instructed, retrieval):
    from mteb.types import PromptType

    vectors = _encode(instructed, TEXTS, retrieval.metadata, prompt_type=PromptType.query)
    prompts = [_prompted("Retrieve text based on user query.", text) for text in TEXTS]
    assert _same(vectors, instructed, prompts)


def test_the_models_own_instruction_is_the_last_resort(instructed):
    metadata = _metadata("Nowhere", "STS", "spearman")
    with pytest.warns(UserWarning, match="No prompt found"):  # mteb's own
        vectors = _encode(instructed, TEXTS, metadata)
    own = instructed.model.config.task
    assert _same(vectors, instructed, [_prompted(own, text) for text in TEXTS])


def test_rows_keep_input_order_over_slices_and_empty_texts_are_zeros(
    mteb, checkpoints, similarity, monkeypatch, caplog, capsys
):
    monkeypatch.setattr("gircse_core.mteb._SLICE", 2)
    encoder = MtebEncoder(str(checkpoints["prefix"]), 1, dtype="float32")
    texts = [TEXTS[1], "", TEXTS[2], TEXTS[0], " \n", TEXTS[4]]
    with caplog.at_level(logging.WARNING):
        vectors = _encode(encoder, texts, similarity.metadata, show_progress_bar=True)
    assert "SampleSTS: 2 of 6 texts are empty" in caplog.text
    assert "4/4" in capsys.readouterr().err
    assert vectors.dtype == np.float32
    expected = encoder.model.embed_documents([text for text in texts if text.strip()], 1)
    assert np.abs(vectors[[0, 2, 3, 5]] - expected).max() < 1e-5
    assert not vectors[[1, 4]].any()
    cosines = encoder.similarity(vectors, vectors).numpy()
    assert np.isfinite(cosines).all()
    pairwise = encoder.similarity_pairwise(vectors, vectors).numpy()
    assert np.abs(np.diag(cosines) - pairwise).max() < 1e-6


def test_other_precisions_and_impossible_steps_are_refused(mteb, checkpoints, similarity):
    encoder = MtebEncoder(str(checkpoints["prefix"]), 1)
    with pytest.raises(InputError, match="int8"):
        _encode(encoder, TEXTS, similarity.metadata, precision="int8")
    with pytest.raises(StepCountError, match="choose from 0 to 64"):
        MtebEncoder(str(checkpoints["prefix"]), 65)


def test_without_mteb_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(GircseError, match=r"pip install 'gircse-search\[mteb\]'"):
        MtebEncoder()
