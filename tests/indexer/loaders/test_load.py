from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import ExtractionError, UsageError
from indexer.loaders import MEDIA_TYPES, load
from tests.indexer.loaders.samples import one_of_each, read, try_to_load

SAMPLES = one_of_each()


def test_there_is_a_sample_of_every_media_type():
    assert {read(data, name).media_type for name, data in SAMPLES.items()} == set(MEDIA_TYPES)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_yields_its_words(name):
    document = read(SAMPLES[name], name)
    assert document.sections
    words = document.text.lower()
    assert "tide" in words or "monday" in words or "high_water" in words


@pytest.mark.parametrize("name", SAMPLES)
def test_reading_twice_gives_the_same_document(name):
    assert read(SAMPLES[name], name) == read(SAMPLES[name], name)


@pytest.mark.parametrize("name", [name for name in SAMPLES if "." in name])
def test_zero_bytes_are_damage_in_binary_formats_and_nothing_in_text(name):
    media_type = read(SAMPLES[name], name).media_type
    if MEDIA_TYPES[media_type].binary:
        with pytest.raises(ExtractionError, match=r"empty \(0 bytes\)") as caught:
            load(b"", source="s", name=name, media_type=media_type)
        assert caught.value.code == "empty"
        assert "fetch it again" in caught.value.hint
    else:
        assert load(b"", source="s", name=name, media_type=media_type).sections == ()


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_file_cut_or_altered_anywhere_is_read_or_refused_with_a_cause(name, data):
    content = bytearray(SAMPLES[name])
    media_type = read(SAMPLES[name], name).media_type
    if data.draw(st.booleans(), label="cut"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 8), label="alterations")):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try_to_load(bytes(content), name, media_type)


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@settings(max_examples=25, deadline=None)
@given(content=st.binary(max_size=400))
def test_random_bytes_are_read_or_refused_with_a_cause(media_type, content):
    try_to_load(content, "x", media_type)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=300),
    media_type=st.sampled_from(["markdown", "rst", "html", "text", "csv", "code", "email"]),
)
def test_any_text_is_read_or_refused_with_a_cause_in_any_text_format(text, media_type):
    try_to_load(text.encode("utf-8", "replace"), "x", media_type)


def test_an_unknown_media_type_is_the_callers_mistake():
    with pytest.raises(UsageError, match="no format is called 'papyrus'"):
        load(b"x", source="s", name="n", media_type="papyrus")


def test_recursion_and_memory_errors_of_a_parser_become_causes(monkeypatch):
    import indexer.loaders.plaintext

    def exhaust(data, *, source, name):
        raise MemoryError

    def recurse(data, *, source, name):
        return recurse(data, source=source, name=name)

    for double, code in ((exhaust, "memory"), (recurse, "damaged")):
        monkeypatch.setattr(indexer.loaders.plaintext, "load", double)
        with pytest.raises(ExtractionError) as caught:
            load(b"x", source="s", name="n", media_type="text")
        assert caught.value.code == code


def test_importing_the_loaders_imports_no_parser():
    code = (
        "import sys, indexer.loaders\n"
        "heavy = 'torch transformers pypdf docx pptx docutils lxml markdown_it tokenizers yaml'\n"
        "print([name for name in heavy.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
