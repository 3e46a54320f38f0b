"""The reader, headless: what it shows of which document, and what it says where it cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.services import Services
from indexer.collections.library import Library
from indexer.embedder import Embedder
from indexer.errors import ExtractionError
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from indexer.preview import Previewer, PreviewLimits
from tests.app.conftest import DOCUMENTS
from tests.indexer.preview.pdf_making import endless_page

pytestmark = pytest.mark.usefixtures("shared_services")

NAMES = (
    "kitchen/storing-food-safely.pdf",
    "home/dripping-tap.md",
    "home/condensation-and-mould.html",
    "kitchen/grandmothers-plum-cake.txt",
)
CODE = "def wombat_burrow(depth):\n    return depth * 2  # metres\n"
CSV = "animal;legs;note\n" + "".join(f"animal {n};4;note {n}\n" for n in range(300))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    for name in NAMES:
        shutil.copy(DOCUMENTS / name, folder)
    (folder / "burrow.py").write_text(CODE)
    (folder / "animals.csv").write_text(CSV)
    (folder / "endless.pdf").write_bytes(endless_page("The axolotl regrows its legs and tail."))
    return folder


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, folder: Path, minilm: Embedder) -> Path:
    home = tmp_path_factory.mktemp("reader")
    with Library(home).create("default", model="gircse-minilm", steps=0) as collection:
        index_paths(collection, [folder], embedder=lambda: minilm, options=IndexOptions())
    return home


@pytest.fixture(autouse=True)
def ready(home: Path, indexed: Path, shared_services: Callable[[], Services]) -> Services:
    shutil.copytree(indexed, home)
    return shared_services()


def _draw(name: str, words: str) -> None:
    from pathlib import PurePath

    import streamlit as st

    from app.pages.reader import draw_reader
    from app.resources import services

    parts = services()
    with parts.collections.use("default") as opened:
        record = next(one for one in opened.store.documents() if PurePath(one.source).name == name)
        chunks = opened.store.chunks(record.id)
    chunk = next(one for one in chunks if words in one.text) if words else None
    start = chunk.text.index(words) if chunk else 0
    st.title("Around it")
    draw_reader(parts, "default", record, chunk, [(start, start + len(words))] if chunk else [])


def reader(name: str, words: str = "") -> AppTest:
    test = AppTest.from_function(_draw, default_timeout=60, args=(name, words)).run()
    assert not test.exception
    return test


def html(test: AppTest) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def button(test: AppTest, label: str) -> object:
    return next(one for one in test.button if one.label == label)


def labels(test: AppTest) -> list[str]:
    return [one.label for one in test.button]


def test_a_pdf_shows_the_page_with_the_passage_marked_and_turns() -> None:
    test = reader("storing-food-safely.pdf", "Kitchen")
    shown = html(test)
    assert 'class="gs-page"' in shown
    assert 'id="gs-found" class="gs-box"' in shown
    assert "gs-box-mark" in shown
    (place,) = [one.value for one in test.caption]
    here = int(place.split()[1])
    turn = "Next page" if here == 1 else "Previous page"
    button(test, turn).click().run()
    assert not test.exception
    assert test.caption[0].value != place
    assert "gs-box" not in html(test)
    button(test, f"Back to the passage on page {here}").click().run()
    assert test.caption[0].value == place
    assert "gs-box" in html(test)


def test_the_text_of_a_pdf_is_a_click_away() -> None:
    test = reader("storing-food-safely.pdf", "Kitchen")
    test.get("button_group")[0].set_value("Text").run()
    assert not test.exception
    assert 'class="gs-document"' in html(test)
    assert "<img" not in html(test)


@pytest.mark.parametrize(
    ("name", "words", "frame", "view"),
    [
        ("dripping-tap.md", "limescale", 'class="gs-markup"', "Formatted"),
        ("condensation-and-mould.html", "mould", 'class="gs-markup"', "Formatted"),
        ("animals.csv", "animal 150", 'class="gs-table"', "Table"),
        ("burrow.py", "wombat_burrow", 'class="gs-listing"', "Code"),
    ],
)
def test_each_format_looks_like_itself_with_the_passage_marked(
    name: str, words: str, frame: str, view: str
) -> None:
    test = reader(name, words)
    shown = html(test)
    assert frame in shown
    assert shown.count('id="gs-found"') == 1
    assert test.get("button_group")[0].options == [view, "Text"]
    assert not test.info


def test_code_says_its_language() -> None:
    assert "<li>Python</li>" in html(reader("burrow.py", "wombat_burrow"))


def test_further_rows_are_fetched_when_asked_for() -> None:
    test = reader("animals.csv", "animal 150")
    rows = html(test).count("<tr")
    button(test, "Further text").click().run()
    assert html(test).count("<tr") > rows + 50
    button(test, "Earlier text").click().run()
    assert html(test).count("<tr") > rows + 150


def test_plain_text_has_one_view_alone() -> None:
    test = reader("grandmothers-plum-cake.txt", "plum")
    assert not test.get("button_group")
    assert 'class="gs-document"' in html(test)


def test_a_document_as_such_is_shown_from_its_beginning() -> None:
    test = reader("storing-food-safely.pdf")
    assert test.caption[0].value.startswith("Page 1 of ")
    assert "gs-box" not in html(test)
    assert "Back to" not in " ".join(labels(test))
    assert 'class="gs-markup"' in html(reader("dripping-tap.md"))


def test_what_cannot_be_shown_is_explained_and_its_text_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ExtractionError("crashed", "the <b>process</b> ended", hint="save it again")

    monkeypatch.setattr(Previewer, "preview", fail)
    test = reader("storing-food-safely.pdf", "Kitchen")
    assert "Only the text can be shown" in test.info[0].value
    assert "save it again" in test.info[0].value
    assert "<b>" not in test.info[0].value
    assert 'class="gs-document"' in html(test)


def test_a_page_that_cannot_be_drawn_ends_as_its_text_in_time(
    ready: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready.previewer, "_limits", PreviewLimits(timeout_s=3))
    test = reader("endless.pdf", "axolotl")
    assert "Only the text can be shown" in test.info[0].value
    assert "The axolotl regrows" not in test.info[0].value
    assert "regrows its legs and tail" in html(test)
    assert 'class="gs-page"' in html(reader("storing-food-safely.pdf"))  # and others can be


def test_from_a_page_that_cannot_be_shown_there_is_a_way_back(
    ready: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = reader("storing-food-safely.pdf")
    with monkeypatch.context() as patch:
        patch.setattr(ready.previewer, "_limits", PreviewLimits(timeout_s=1e-6))
        button(test, "Next page").click().run()
        assert "Only the text can be shown" in test.info[0].value
    button(test, "Back to page 1").click().run()
    assert test.caption[0].value.startswith("Page 1 of ")


def test_where_the_passage_cannot_be_marked_its_text_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.preview.values.PagePicture.has_passage", False)
    test = reader("storing-food-safely.pdf", "Kitchen")
    assert "cannot be marked" in test.info[0].value
    assert 'class="gs-document"' in html(test)
    button(test, "Show the document all the same").click().run()
    assert 'class="gs-page"' in html(test)


def test_a_changed_and_a_vanished_file_leave_the_text(folder: Path) -> None:
    path = folder / "burrow.py"
    try:
        path.write_text(CODE + "# more\n")
        test = reader("burrow.py", "wombat_burrow")
        assert "was changed since it was indexed" in test.info[0].value
        assert 'class="gs-document"' in html(test)
        assert not test.get("link_button")
        path.write_text(CODE.replace("depth", "width"))  # of the same size
        test = reader("burrow.py", "wombat_burrow")
        assert "was changed since" in test.info[0].value
        assert not test.get("link_button")
        path.unlink()
        test = reader("burrow.py", "wombat_burrow")
        assert "not where it was" in test.info[0].value
        assert 'class="gs-document"' in html(test)
    finally:
        path.write_text(CODE)


def test_the_folder_is_offered_where_paths_are_taken_and_there_is_a_desktop(
    monkeypatch: pytest.MonkeyPatch, ready: Services
) -> None:
    shown: list[Path] = []
    assert ready.takes_paths
    monkeypatch.setattr("app.pages.original_actions.can_show_folder", lambda: False)
    assert "Open folder" not in labels(reader("dripping-tap.md"))
    monkeypatch.setattr("app.pages.original_actions.can_show_folder", lambda: True)
    monkeypatch.setattr("app.pages.original_actions.show_folder", shown.append)
    test = reader("dripping-tap.md")
    button(test, "Open folder").click().run()
    assert [path.name for path in shown] == ["dripping-tap.md"]
    monkeypatch.setattr(Services, "takes_paths", False)
    assert "Open folder" not in labels(reader("dripping-tap.md"))


def test_files_are_handed_out_unless_the_app_only_shows_and_others_reach_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for takes_paths, is_read_only, is_offered in (
        (True, False, True),
        (True, True, True),
        (False, False, True),
        (False, True, False),
    ):
        monkeypatch.setattr(Services, "takes_paths", takes_paths)
        monkeypatch.setattr(Services, "is_read_only", is_read_only)
        assert bool(reader("dripping-tap.md").get("link_button")) is is_offered
