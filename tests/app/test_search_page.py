"""The search page, headless."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import resources
from app.pages.results import Rail
from app.searching.query import Answer
from app.services import Services
from indexer.collections.library import Library
from indexer.collections.search_defaults import SearchDefaults
from indexer.embedder import Embedder, ModelError, Refinement, load_embedder
from tests.app.conftest import DOCUMENTS
from tests.app.waiting import wait_until

SCRIPT = Path(resources.__file__).parent / "pages" / "main.py"

pytestmark = pytest.mark.usefixtures("shared_services")


@pytest.fixture(autouse=True)
def _quick_model(minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)


def page(**query: str) -> AppTest:
    test = AppTest.from_file(str(SCRIPT), default_timeout=30)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def html(test: AppTest) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def count_hits(test: AppTest) -> int:
    return html(test).count('<article class="gs-hit')


def press(test: AppTest, label: str, number: int = 0) -> AppTest:
    """Press the button of that label, the first or a later one."""
    found = [button for button in test.button if button.label == label]
    return found[number].click().run()


def passages(test: AppTest) -> list[str]:
    """Return the text of every hit in order, without its rank, scores and arrows."""
    return re.findall(r'<p class="gs-passage">(.*?)</p>', html(test), re.DOTALL)


def status(test: AppTest) -> str:
    """Return how far the search is, as people read it."""
    (found,) = re.findall(r'<p class="gs-status" role="status">(.*?)</p>', html(test))
    return re.sub("<[^>]+>", "", found)


@pytest.fixture
def ready(filled_home: Path, shared_services: Callable[[], Services]) -> Services:
    services = shared_services()
    services.models.get("gircse-minilm")
    return services


def test_an_empty_library_says_what_to_do(home: Path) -> None:
    test = page()
    assert not test.exception
    assert "nothing to search yet" in test.info[0].value
    assert not test.text_input


def test_an_empty_collection_says_what_to_do(home: Path) -> None:
    Library(home).create("default", model="gircse-minilm").close()
    test = page()
    assert "empty" in test.info[0].value


def test_the_sample_offers_questions_that_find_something(
    filled_home: Path, shared_services: Callable[[], Services]
) -> None:
    (filled_home / "collections/default").rename(filled_home / "collections/sample")
    shared_services().models.get("gircse-minilm")
    test = page()
    assert "sample collection is ready" in test.markdown[0].value
    assert len(test.button) == 3
    test.button[0].click().run()
    assert not test.exception
    assert test.text_input(key="q").value == "electrics die as soon as I bake a pie"
    assert "When the breaker trips" in html(test)


def test_a_search_shows_passages_times_and_more(ready: Services) -> None:
    test = page()
    test.text_input(key="q").set_value("electrics die as soon as I bake a pie").run()
    assert not test.exception
    assert "in all: reading" in html(test)
    assert "5 steps of" in html(test)
    assert count_hits(test) == 10
    labels = [button.label for button in test.button]
    for label in ("Read", "Similar", "More of this", "Less of this"):
        assert labels.count(label) == 10
    press(test, "Show more")
    assert count_hits(test) > 10


def test_the_address_holds_the_search(ready: Services) -> None:
    test = page(q="limescale", mode="Words", types="markdown", path="tap")
    assert not test.exception
    assert test.text_input(key="q").value == "limescale"
    assert count_hits(test) >= 1
    assert "reading" not in html(test)


def test_a_passage_is_shown_within_its_document(ready: Services) -> None:
    test = page(q="limescale in the cartridge")
    press(test, "Read", 1)
    assert not test.exception
    assert 'class="gs-markup"' in html(test)
    assert 'id="gs-found"' in html(test)


def test_nothing_found_says_what_else_to_try(ready: Services) -> None:
    test = page(q="zzzqqq", mode="Words", path="tap")
    assert "Nothing found" in test.info[0].value
    assert "fewer filters" in test.info[0].value
    press(test, "Remove the filters")
    assert test.text_input(key="path").value == ""


def test_the_slider_begins_at_the_steps_of_the_documents(ready: Services) -> None:
    test = page(q="limescale in the cartridge")
    assert not test.exception
    (slider,) = test.slider
    assert (slider.min, slider.max, slider.value) == (0, 20, 5)
    assert slider.label.startswith("Refinement: 5 steps · about")
    assert "5 steps of" in html(test)


@pytest.mark.parametrize(
    ("tuned", "setting", "begin"), [(None, None, 0), (8, None, 8), (None, "3", 3), (8, "3", 3)]
)
def test_the_slider_begins_where_a_search_without_it_would(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared_services: Callable[[], Services],
    tuned: int | None,
    setting: str | None,
    begin: int,
) -> None:
    if setting is not None:
        monkeypatch.setenv("GIRCSE_STEPS", setting)
    with Library(home).create("default", model="gircse-minilm", steps=0) as collection:
        if tuned is not None:
            collection.set_search_defaults(SearchDefaults(steps=tuned))
    shared_services().models.get("gircse-minilm")
    test = page()
    assert not test.exception
    assert test.slider[0].value == begin
    test.slider[0].set_value(5).run()
    assert test.slider[0].label.startswith("Refinement: 5 steps · about")


def test_an_untouched_slider_follows_the_collection(ready: Services) -> None:
    ready.create_collection("quick", steps=0)
    test = page(collection="quick")
    assert test.slider[0].value == 0
    test.selectbox(key="collection").set_value("default").run()
    assert not test.exception
    assert test.slider[0].value == 5
    assert test.slider[0].label.startswith("Refinement: 5 steps")
    test.slider[0].set_value(3).run()
    test.selectbox(key="collection").set_value("quick").run()
    assert test.slider[0].value == 3


def test_an_untouched_slider_follows_what_is_made_the_default(ready: Services) -> None:
    test = page(q="limescale")
    with ready.collections.use("default") as collection:
        collection.set_search_defaults(SearchDefaults(steps=2))
    test.run()
    assert test.slider[0].value == 2
    assert "2 steps of" in html(test)


def test_a_model_without_steps_says_so(
    home: Path,
    plain_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared_services: Callable[[], Services],
) -> None:
    monkeypatch.setattr(resources, "load_embedder", load_embedder)
    Library(home).create("default", model=str(plain_model)).close()
    shared_services().models.get(str(plain_model))
    test = page()
    assert not test.exception
    assert not test.slider
    assert "Refinement: 0 steps · about" in html(test)
    assert "has no refinement steps" in html(test)


def test_the_slider_chooses_the_steps_of_a_model_that_has_some(
    home: Path,
    refining_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared_services: Callable[[], Services],
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("GIRCSE_HOME", str(home))
    monkeypatch.setenv("GIRCSE_MODEL", str(refining_model))
    monkeypatch.setattr(resources, "load_embedder", load_embedder)
    services = shared_services()
    services.create_collection("default")
    with services.collections.use("default") as collection:
        assert collection.config.steps == 3
    services.add_path("default", services.check_path(str(DOCUMENTS / "home/dripping-tap.md")))
    wait_until(lambda: not services.worker.activity().is_busy)
    test = page(q="dripping tap", steps="5")
    assert not test.exception
    (slider,) = test.slider
    assert (slider.min, slider.max, slider.value) == (0, 20, 5)
    assert slider.label.startswith("Refinement: 5 steps · about")
    assert "5 steps of" in html(test)
    slider.set_value(7).run()
    assert test.slider[0].label.startswith("Refinement: 7 steps · about")
    assert "7 steps of" in html(test)


def test_a_missing_model_leaves_words_and_says_why(
    filled_home: Path, shared_services: Callable[[], Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, **_: object) -> Embedder:
        raise ModelError("its weights are damaged; run `gircse model verify`")

    monkeypatch.setattr(resources, "load_embedder", load)
    shared_services()
    test = page(q="limescale")
    test.run()
    assert not test.exception
    assert "gircse model verify" in test.info[0].value.replace("\\", "")
    assert count_hits(test)
    assert test.slider[0].label.endswith("the model is not available")
    monkeypatch.undo()
    next(found for found in test.button if found.label == "Load the model again").click().run()
    assert not test.exception


def test_a_damaged_collection_is_named_with_what_to_do(ready: Services, filled_home: Path) -> None:
    ready.collections.retire("default")
    (filled_home / "collections/default/collection.json").write_text("{")
    test = page(q="limescale")
    assert not test.exception
    assert "cannot be read" in test.error[0].value


def test_every_step_of_a_search_is_drawn_in_place_from_one_run(
    ready: Services, minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    refine = minilm.refine

    def counted(text: str, *, max_steps: int) -> Iterator[Refinement]:
        runs.append(text)
        return refine(text, max_steps=max_steps)

    drawn: list[Answer] = []
    draw = Rail.draw

    def noted(self: Rail, answer: Answer) -> None:
        drawn.append(answer)
        draw(self, answer)

    monkeypatch.setattr(minilm, "refine", counted)
    monkeypatch.setattr(Rail, "draw", noted)
    test = page(q="water in the kitchen", steps="20")
    assert not test.exception
    assert runs == ["water in the kitchen"]
    steps = [answer.result.steps for answer in drawn]
    assert steps[0] == 0
    assert steps[-1] == 20
    assert len(steps) > 3
    assert [answer.is_final for answer in drawn] == [False] * (len(drawn) - 1) + [True]
    assert len({answer.result.generation for answer in drawn}) == 1
    before = {hit.chunk.id: hit.rank for hit in drawn[0].hits}
    moved = [hit for hit in drawn[-1].hits if before.get(hit.chunk.id) != hit.rank]
    assert len(re.findall('gs-sr">, [^<]* since step 0', html(test))) == len(drawn[-1].hits)
    assert len(re.findall(r"gs-move gs-(up|down|new)", html(test))) == len(moved)
    assert re.match(r"Top 5 (unchanged since|still moving at) step \d+ · 20 steps", status(test))
    test.run()  # the same question is not asked again
    assert len(runs) == 1


def test_time_decides_how_far_to_refine(ready: Services) -> None:
    test = page(q="water in the kitchen", refine="Time", budget="10000")
    assert not test.exception
    assert test.number_input(key="budget").label == "Answer within … ms · up to 20 steps"
    assert not test.slider
    assert "20 steps" in status(test)
    test.number_input(key="budget").set_value(5).run()
    assert "stopped by the time limit" in status(test)
    assert re.search(r"up to \d steps?", test.number_input(key="budget").label)


def test_the_search_itself_decides_how_far_to_refine(ready: Services) -> None:
    test = page(q="water in the kitchen", refine="Auto")
    assert not test.exception
    assert not test.slider
    assert "Stops when the top 5 keep their places for 3 steps" in html(test)
    assert re.search(r"stopped as the (first hits keep|query hardly)", status(test))


def test_an_effort_that_an_address_makes_up_is_passed_over(ready: Services) -> None:
    test = page(q="limescale", refine="Best", budget="-3", like="x" * 500, group="Both")
    assert not test.exception
    assert test.slider[0].value == 5
    assert count_hits(test) == 10


def test_a_number_that_is_too_long_to_be_read_is_passed_over(ready: Services) -> None:
    test = page(q="limescale", steps="9" * 5000)
    assert not test.exception
    assert not test.error
    assert count_hits(test) == 10


def test_a_search_that_cannot_be_made_is_not_shown_as_going_on(ready: Services) -> None:
    test = page(q="-limescale")
    assert "only says what to leave out" in test.error[0].value
    assert "Searching" not in html(test)


def test_a_collection_that_is_not_there_is_named_once(ready: Services, filled_home: Path) -> None:
    test = page(q="limescale", collection="nope_1_")
    (said,) = test.toast
    assert said.value.replace("\\", "") == (
        "There is no collection “nope_1_”: it was deleted or renamed, or the address is wrong. "
        "This is “default”."
    )
    assert count_hits(test) == 10
    assert not test.run().toast
    ready.create_collection("second")
    test = page(collection="second")
    assert not test.toast
    ready.delete_collection("second")
    assert "no collection “second”" in test.run().toast[0].value
    assert not test.run().toast


def test_similar_passages_are_found_and_left_again(ready: Services) -> None:
    test = page(q="limescale in the cartridge")
    first = passages(test)[0]
    press(test, "Similar")
    assert not test.exception
    assert test.text_input(key="q").value == "limescale in the cartridge"
    assert count_hits(test) == 10
    assert first not in passages(test)
    assert "reading" not in html(test)  # no model was asked
    (back,) = [button for button in test.button if button.label.startswith("Similar to")]
    back.click().run()
    assert passages(test)[0] == first


def test_feedback_changes_the_ranking_and_is_taken_back(ready: Services) -> None:
    test = page(q="water in the kitchen")
    before = passages(test)
    press(test, "More of this", 7)
    assert not test.exception
    assert passages(test).index(before[7]) < 7
    press(test, "Less of this", passages(test).index(before[0]))
    assert before[0] not in passages(test)
    labels = [button.label for button in test.button]
    assert any(label.startswith("More of ") and label.endswith("\u00d7") for label in labels)
    assert any(label.startswith("Less of ") and label.endswith("\u00d7") for label in labels)
    press(test, "Take all back")
    assert passages(test) == before
    press(test, "More of this", 7)
    test.text_input(key="q").set_value("limescale").run()
    assert not any(button.label.endswith("\u00d7") for button in test.button)


def test_words_alone_offer_no_feedback(ready: Services) -> None:
    test = page(q="limescale", mode="Words", like="anything")
    assert not test.exception
    assert count_hits(test)
    assert "More of this" not in [button.label for button in test.button]
    assert status(test).startswith("Searched ")


def test_passages_of_a_document_stand_together(ready: Services) -> None:
    test = page(q="water in the kitchen", group="Documents")
    assert not test.exception
    assert html(test).count("<h3>") == 3  # one for each document there is
    assert count_hits(test) > 3
    assert "gs-further" in html(test)


def test_dates_and_types_filter(ready: Services) -> None:
    test = page(q="water", after="2100-01-01")
    assert "Nothing found" in test.info[0].value
    press(test, "Remove the filters")
    assert count_hits(test) == 10
    assert page(q="water", before="1999-12-31").info[0].value.startswith("Nothing found")
    test.multiselect(key="types").set_value(["markdown"]).run()
    assert count_hits(test)
    assert "PDF</li>" not in html(test)
    assert any(found.label == "Clear" for found in test.button)


def test_phrases_and_exclusions_that_leave_nothing_are_named(ready: Services) -> None:
    test = page(q='"water the kitchen in" -tap')
    assert "without quotes" in test.info[0].value
    assert "fewer words to leave out" in test.info[0].value
    refused = page(q="-tap")
    assert not refused.exception
    assert "only says what to leave out" in refused.error[0].value


def test_hits_are_taken_along(ready: Services) -> None:
    test = page(q="limescale in the cartridge")
    labels = [one.proto.label for one in test.get("download_button")]
    assert labels[:2] == ["10 hits as CSV", "10 hits as JSON"]


def test_the_passage_is_gone_that_others_should_be_like(ready: Services) -> None:
    test = page(q="water", similar="gone")
    assert not test.exception
    assert "not in the collection any more" in test.error[0].value
