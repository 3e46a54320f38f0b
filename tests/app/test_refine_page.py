"""The refinement page, headless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app import resources
from app.services import Services
from indexer.collections.library import Library
from indexer.embedder import Embedder, ModelError, load_embedder
from tests.app.pages import REFINE, charts, html, page

QUESTION = "how cold does the refrigerator have to be"

pytestmark = pytest.mark.usefixtures("shared_services")


@pytest.fixture(autouse=True)
def _quick_model(minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: minilm)


@pytest.fixture
def ready(filled_home: Path, shared_services: Callable[[], Services]) -> Services:
    services = shared_services()
    services.models.get("gircse-minilm")
    return services


def test_an_empty_library_says_what_to_do(home: Path) -> None:
    test = page(REFINE)
    assert not test.exception
    assert "no collection yet" in test.info[0].value


def test_without_a_text_it_explains_itself_and_offers_some(ready: Services) -> None:
    test = page(REFINE)
    assert not test.exception
    assert any("soft tokens" in text.value for text in test.markdown)
    assert not charts(test)
    test.button[0].click().run()
    assert not test.exception
    assert test.text_input(key="q").value == "how a water pump works"
    assert len(charts(test)) >= 5


def test_a_question_gives_pictures_with_words_for_them(ready: Services) -> None:
    test = page(REFINE, q=QUESTION, watch="3")
    assert not test.exception
    assert test.slider[0].value == 3
    texts = charts(test)
    for part in (
        "Words that the soft tokens are near",
        "Similarity of query and passage by step",
        "Ranks of the",
        "Convergence of the vector",
        "Time of each step",
    ):
        assert any(part in text for text in texts), part
    assert any("words nearest to each soft token" in one.value for one in test.caption)
    assert "3 steps in" in test.caption[0].value
    assert "A — " in html(test)


def test_a_passage_of_ones_own_is_compared(ready: Services) -> None:
    test = page(REFINE, q=QUESTION, watch="3")
    choice = test.selectbox[-1]
    choice.set_value("nothing").run()
    assert not any("Similarity" in text for text in charts(test))
    test.selectbox[-1].set_value("own").run()
    assert any("Type a passage" in one.value for one in test.caption)
    test.text_area(key="refine-passage").set_value("Keep it below four degrees.").run()
    assert not test.exception
    assert any("Similarity" in text for text in charts(test))


def test_what_cannot_be_read_is_said(ready: Services) -> None:
    test = page(REFINE, q="Zwölf Boxkämpfer jagen Viktor", watch="3")
    assert not test.exception
    assert "carry no readable meaning" in test.warning[0].value
    assert any("all the same" in one.label for one in test.expander)


def test_a_collection_without_passages_shows_the_model_alone(home: Path) -> None:
    Library(home).create("default", model="gircse-minilm").close()
    resources.services().models.get("gircse-minilm")
    test = page(REFINE, q=QUESTION, watch="2")
    assert not test.exception
    assert any("empty" in one.value for one in test.info)
    assert any("Convergence" in text for text in charts(test))


def test_a_model_without_steps_says_so(
    home: Path, plain_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "load_embedder", load_embedder)
    Library(home).create("default", model=str(plain_model)).close()
    test = page(REFINE, q=QUESTION)
    assert not test.exception
    assert "has no refinement steps" in test.info[0].value
    assert not charts(test)


def test_a_model_that_does_not_load_is_named_and_can_be_tried_again(
    filled_home: Path, shared_services: Callable[[], Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, **_: object) -> Embedder:
        raise ModelError("its weights are damaged; run `gircse model verify`")

    monkeypatch.setattr(resources, "load_embedder", fail)
    with pytest.raises(ModelError):
        shared_services().models.get("gircse-minilm")
    test = page(REFINE, q=QUESTION)
    assert not test.exception
    assert "weights are damaged" in test.error[0].value
    monkeypatch.undo()
    next(one for one in test.button if one.label == "Load the model again").click().run()
    assert not test.exception
