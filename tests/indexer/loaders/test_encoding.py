from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ExtractionError
from indexer.loaders.encoding import clean, decode, looks_binary, one_line


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Größe, naïve, 日本語, emoji 🌊"),
        ("utf-8-sig", "Größe"),
        ("utf-16", "Größe und Maß"),
        ("utf-16-le", "Groesse und Mass of the harbour"),
        ("utf-16-be", "Groesse und Mass of the harbour"),
        ("utf-32", "Größe"),
        ("cp1252", "Les élèves français étudient à l'école où ils mangent des pâtes."),
        ("cp1252", "Résumé"),
        ("cp1252", "El niño comió piñas y jugó al fútbol en el jardín."),
        ("cp1252", "The price is 5 € \u2013 “quoted” text with naïve words."),
        ("cp1250", "Zażółć gęślą jaźń, bardzo ładny dzień dzisiaj mamy"),
        ("cp1251", "Москва является столицей Российской Федерации."),
        ("shift_jis", "日本語のテキストです。これは長めの文章です。"),
        ("gb18030", "中文文本测试,这是一个比较长的句子。"),
        ("euc_kr", "한국어 텍스트 테스트입니다. 안녕하세요."),
    ],
)
def test_encodings_are_found_out(encoding, text):
    assert decode(text.encode(encoding)) == text


def test_utf8_with_a_bad_byte_stays_utf8():
    data = "Größe und Übermaß, schön für Müller und Söhne.".encode()
    assert decode(data + b"\xff") == data.decode() + "\ufffd"


def test_a_declared_encoding_is_used_when_it_fits():
    assert decode("şöyle".encode("cp1254"), declared="cp1254") == "şöyle"
    assert decode("Größe".encode(), declared="cp1252") == "Größe"
    assert decode("Größe".encode("cp1252"), declared="no-such-encoding") == "Größe"


def test_a_nul_byte_is_no_text():
    with pytest.raises(ExtractionError, match="NUL byte at position 5") as caught:
        decode(b"hello\0world, and more text")
    assert caught.value.code == "binary"


def test_line_ends_are_normalised_and_controls_dropped():
    assert clean("a\r\nb\rc\x0cd\x85e\u2028f") == "a\nb\nc\nd\ne\nf"
    assert clean("a\x00b\x01c\ud800d\ufeffe") == "abcde"
    assert clean("tab\tstays") == "tab\tstays"


@given(st.text())
def test_clean_text_is_clean_and_stays_so(text):
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert "\r" not in cleaned


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"])))
def test_utf8_is_never_taken_for_binary_or_altered(text):
    data = text.encode()
    assert not looks_binary(data)
    if not text.startswith("\ufeff"):
        assert decode(data) == clean(text)


def test_one_line():
    assert one_line(" a\n b\t c ") == "a b c"
    assert one_line("x" * 400) == "x" * 299 + "…"
