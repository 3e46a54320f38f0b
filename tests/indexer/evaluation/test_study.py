"""Whole evaluations of a tiny model that refines, on the sample corpus."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from indexer.errors import UsageError
from indexer.evaluation.beir import load_beir
from indexer.evaluation.metrics import METRICS
from indexer.evaluation.passages import whole_passages
from indexer.evaluation.plan import EvaluationPlan, steps_of_model
from indexer.evaluation.plot import check_plot_file, write_plot
from indexer.evaluation.report import tables
from indexer.evaluation.sts import load_sts
from indexer.evaluation.study import Study, read_sets
from tests.indexer.evaluation.conftest import write_set

STEPS = (0, 1, 3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_set(
        tmp_path_factory.mktemp("small") / "small",
        [
            ("a", "", "Bread rises in a warm kitchen. Butter melts."),
            ("b", "Bridges", "A bridge of rope hangs over the gorge."),
            ("c", "", "Stars are born in clouds of gas."),
        ],
        [("1", "warm bread"), ("2", "rope bridge"), ("3", "birth of stars")],
        [("1", "a", 1), ("2", "b", 2), ("3", "c", 1), ("3", "b", 0)],
    )


@pytest.fixture(scope="module")
def report(embedder, sample_set, small_set, cache):
    plan = EvaluationPlan(
        steps=STEPS,
        baselines=("mean", "last", "prompt", "rocchio", "maxsim", "bm25"),
        matrix=True,
    )
    phases = []
    study = Study(plan, embedder, cache=cache, on_progress=phases.append)
    made = study.run(read_sets([sample_set, small_set], split="test"))
    assert any(progress.total and progress.done == progress.total for progress in phases)
    return made


def _run(result, method, steps=None):
    return next(run for run in result.runs if (run.method, run.steps) == (method, steps))


def test_every_run_is_there_in_order(report):
    expected = [(name, None) for name in ("lexical", "mean", "last", "prompt", "rocchio", "maxsim")]
    expected += [(method, step) for method in ("dense", "hybrid") for step in STEPS]
    for result in (*report.sets, report.average):
        assert [(run.method, run.steps) for run in result.runs] == expected
        for run in result.runs:
            assert set(run.figures) == set(METRICS)
            assert run.ms_per_query > 0
            assert (run.texts_per_second is None) == (run.method == "lexical")
            for figure in run.figures.values():
                assert 0 <= figure.interval.low <= figure.mean <= figure.interval.high <= 1


def test_dense_runs_are_what_the_vectors_say(report, embedder, sample_set):
    judged = load_beir(sample_set)
    texts = whole_passages(judged.documents).texts
    documents = embedder.embed_documents(texts, steps=3)
    queries = embedder.embed_queries(list(judged.queries.values()), steps=3)
    best = (queries @ documents.T).argmax(axis=1)
    first = [judged.documents[place].id for place in best]
    hits = [
        judged.qrels[query].get(document, 0) > 0
        for query, document in zip(judged.queries, first, strict=True)
    ]
    mrr = _run(report.sets[0], "dense", 3).figures["mrr@10"].mean
    assert np.mean(hits) <= mrr <= np.mean(hits) + 0.5 * (1 - np.mean(hits))


def test_comparisons_are_with_the_fewest_steps(report):
    result = report.sets[0]
    for method in ("dense", "hybrid"):
        start = _run(result, method, 0).figures["ndcg@10"]
        later = _run(result, method, 3).figures["ndcg@10"]
        assert start.change is start.p_value is None
        assert later.change == pytest.approx(later.mean - start.mean)
        assert 0 <= later.p_value <= 1
    rocchio = _run(result, "rocchio").figures["ndcg@10"]
    assert rocchio.change == pytest.approx(
        rocchio.mean - _run(result, "dense", 0).figures["ndcg@10"].mean
    )


def test_an_encoders_mean_is_its_step_zero(report):
    for result in report.sets:
        mean, start = _run(result, "mean"), _run(result, "dense", 0)
        for metric in METRICS:
            assert mean.figures[metric].mean == start.figures[metric].mean
            assert mean.figures[metric].p_value == 1.0


def test_the_average_weighs_sets_the_same(report):
    for run in report.average.runs:
        same = [_run(result, run.method, run.steps) for result in report.sets]
        for metric in METRICS:
            expected = sum(one.figures[metric].mean for one in same) / len(same)
            assert run.figures[metric].mean == pytest.approx(expected)
            assert run.figures[metric].p_value is None


def test_the_diagonal_of_the_matrix_is_the_dense_run(report):
    for result in (*report.sets, report.average):
        assert result.matrix.query_steps == result.matrix.document_steps == STEPS
        for place, step in enumerate(STEPS):
            dense = _run(result, "dense", step).figures["ndcg@10"].mean
            assert result.matrix.ndcg_at_10[place][place] == pytest.approx(dense)


def test_json_carries_every_figure(report):
    found = json.loads(json.dumps(report.as_dict()))
    assert all(found[name] for name in ("model", "fingerprint", "notes", "versions"))
    assert found["settings"]["steps"] == list(STEPS)
    for result in (*found["sets"], found["average"]):
        assert {"name", "documents", "queries", "truncated_passages", "matrix"} <= set(result)
        for run in result["runs"]:
            assert {"method", "steps", "document_steps", "ms_per_query"} < set(run)
            for metric in METRICS:
                figure = run["figures"][metric]
                assert set(figure) == {"mean", "interval", "change", "p_value"}
                assert set(figure["interval"]) == {"low", "high"}


def test_figures_are_the_same_every_time(report, embedder, sample_set, cache):
    plan = EvaluationPlan(steps=(0, 3), modes=("dense",))
    (again,) = Study(plan, embedder, cache=cache).run(read_sets([sample_set], split="test")).sets
    for step in (0, 3):
        assert _run(again, "dense", step).figures == _run(report.sets[0], "dense", step).figures


def test_documents_may_stay_at_one_step_count(embedder, sample_set, report, cache):
    plan = EvaluationPlan(steps=(0, 3), document_steps=1, modes=("dense", "hybrid"))
    found = Study(plan, embedder, cache=cache).run(read_sets([sample_set], split="test"))
    run = _run(found.sets[0], "dense", 3)
    assert run.document_steps == 1
    matrix = report.sets[0].matrix.ndcg_at_10
    assert run.figures["ndcg@10"].mean == pytest.approx(matrix[2][1])
    assert "3/1" in [row[1] for row in tables(found)[0].rows]


def test_documents_may_be_cut_as_indexing_cuts_them(embedder, sample_set):
    plan = EvaluationPlan(steps=(1,), chunked=True)
    study = Study(plan, embedder, tokenizer_file=embedder.info.tokenizer_file)
    (result,) = study.run(read_sets([sample_set], split="test")).sets
    assert result.passages > result.documents
    assert _run(result, "lexical").figures["recall@100"].mean > 0.5


def test_words_alone_need_no_model(sample_set):
    report = Study(EvaluationPlan(modes=("lexical",)), None).run(
        read_sets([sample_set], split="test")
    )
    assert report.model is None
    assert report.average is None
    (run,) = report.sets[0].runs
    assert run.figures["ndcg@10"].mean > 0.2
    assert run.figures["ndcg@10"].change is None


def test_tables_name_everything(report):
    titles = [table.title for table in tables(report)]
    assert [title.split(":")[0] for title in titles[:2]] == ["sample", "small"]
    assert titles[-1].startswith("nDCG@10")
    assert sum("other step counts" in title for title in titles) == 3
    for table in tables(report):
        assert {len(row) for row in table.rows} == {len(table.header)}


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_a_plot_is_written(report, tmp_path, ending):
    file = tmp_path / f"curve{ending}"
    check_plot_file(file)
    write_plot(report, file)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending]
    assert file.read_bytes().startswith(start)


def test_plots_that_cannot_be_written(report, tmp_path):
    with pytest.raises(UsageError, match=r"expected a name in \.png, \.svg, \.pdf"):
        check_plot_file(tmp_path / "curve.jpg")
    with pytest.raises(UsageError, match="there is no folder"):
        check_plot_file(tmp_path / "nowhere" / "curve.png")


def test_sentence_pairs(embedder, tmp_path):
    file = tmp_path / "pairs.tsv"
    pairs = ["score\tfirst\tsecond", "5\tA bridge of steel.\tA bridge of steel."]
    pairs += ["0.5\tA bridge of steel.\tcat", "3\tcat\ta cat", "1\tcat\tInterest is paid monthly."]
    file.write_text("\n".join(pairs) + "\n")
    found = load_sts(file)
    assert found.scores.tolist() == [5.0, 0.5, 3.0, 1.0]
    report = Study(EvaluationPlan(steps=STEPS), embedder).run([], [found])
    (result,) = report.sts
    assert (result.name, result.pairs) == ("pairs", 4)
    assert [row.steps for row in result.rows] == list(STEPS)
    for row in result.rows:
        first = embedder.embed_queries(found.first, steps=row.steps)
        second = embedder.embed_queries(found.second, steps=row.steps)
        expected = spearmanr((first * second).sum(axis=1), found.scores).statistic
        assert row.spearman == pytest.approx(expected)
        assert -1 <= row.interval.low <= row.interval.high <= 1
    assert len(tables(report)) == 1
    with pytest.raises(UsageError, match="only sentence pairs"):
        write_plot(report, tmp_path / "curve.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ta\n", r"pairs\.tsv:1 has 2 columns"),
        ("1\ta\tb\nx\ta\tb\n", r"pairs\.tsv:2: the score must be a number, but is 'x'"),
        ("1\ta\tb\nnan\ta\tb\n", r"pairs\.tsv:2: the score must be a number"),
        ("1\ta\t \n", r"pairs\.tsv:1: a sentence is empty"),
        ("1\ta\tb\n1\tc\td\n", "two different scores"),
        ("", "two different scores"),
    ],
)
def test_wrong_sentence_pairs(tmp_path, text, message):
    file = tmp_path / "pairs.tsv"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_sts(file)


def test_plans_that_make_no_sense():
    for values, message in (
        ({"steps": (3, 1)}, "must rise"),
        ({"steps": ()}, "no step count"),
        ({"modes": (), "baselines": ()}, "nothing to measure"),
        ({"steps": (1,), "matrix": True}, "at least two"),
        ({"steps": (1,), "modes": ("sideways",)}, "no mode 'sideways'"),
        ({"steps": (1,), "baselines": ("magic",)}, "no baseline 'magic'"),
    ):
        with pytest.raises(UsageError, match=message):
            EvaluationPlan(**values)


def test_steps_of_a_model(embedder):
    info = embedder.info
    assert steps_of_model(None, info) == (0, 1, 2, 3, 5, 8, 12, 20)
    assert steps_of_model([5, 0, 5], info) == (0, 5)
    with pytest.raises(UsageError, match=r"65 steps asked for; .* defines from 0 to 64 steps"):
        steps_of_model([0, 65], info)
    with pytest.raises(UsageError, match="99 steps asked for"):
        steps_of_model([0], info, document_steps=99)


def test_a_set_given_twice(sample_set):
    with pytest.raises(UsageError, match="is given twice"):
        read_sets([sample_set, sample_set / ".." / "sample"], split="test")
