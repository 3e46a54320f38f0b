"""From bytes to text: which encoding, and is it text at all.

UTF-8 first, then UTF-16 and UTF-32, then what the document declares, then a guess by
charset-normalizer. Knows nothing about formats.
"""

from __future__ import annotations

import codecs
import re

from indexer.errors import ExtractionError

__all__ = ["clean", "decode", "looks_binary", "one_line"]

_BOMS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# tab, line feed, form feed, carriage return, backspace and escape are found in honest text files
_CONTROLS = bytes(set(range(32)) - {8, 9, 10, 12, 13, 27})
_MAX_CONTROL_SHARE = 0.01
_WIDE = [f"utf_{bits}{order}" for bits in (16, 32) for order in ("", "_be", "_le")]
_SAME_COHERENCE = 0.2
_COMMON = ("cp1252", "cp1250", "iso8859_2", "cp1251", "cp1253", "cp1254")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# the other control characters, lone surrogates and non-characters
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def looks_binary(head: bytes) -> bool:
    """Say whether the beginning of a file is no text in any encoding."""
    if head.startswith(tuple(mark for mark, _ in _BOMS)) or _utf16_order(head) is not None:
        return False
    if b"\0" in head:
        return True
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls > _MAX_CONTROL_SHARE * len(head)


def decode(data: bytes, *, declared: str | None = None) -> str:
    """Decode a text file.

    Args:
        data: the whole file.
        declared: the encoding that the document itself names, used when the bytes are not UTF-8.

    Returns:
        Its text, cleaned as by ``clean``.

    Raises:
        ExtractionError: ``binary`` when the bytes are no text.
    """
    return clean(_decode(data, declared))


def clean(text: str) -> str:
    r"""Make every line end ``\n`` and drop NULs, lone surrogates and other control characters."""
    text = _LINE_ENDS.sub("\n", text)
    return _UNWANTED.sub("", text)


def one_line(text: str, *, limit: int = 300) -> str:
    """Put a title, heading or field on one line of at most ``limit`` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    wide = _utf16_order(data[:4096])
    if wide is not None:
        return data.decode(wide, "replace")
    if b"\0" in data:
        raise _not_text(f"it contains a NUL byte at position {data.index(0):,}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    repaired = _decode_damaged_utf8(data)
    if repaired is not None:
        return repaired
    if declared is not None:
        try:
            return data.decode(declared)
        except (LookupError, UnicodeDecodeError):
            pass  # wrong labels are common; the bytes know better
    return _guess(data)


def _utf16_order(head: bytes) -> str | None:
    """Recognise UTF-16 without a mark: in most scripts every second byte of it is often zero."""
    if len(head) < 4 or (len(head) % 2 and len(head) < 64):
        return None
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd > 0.4 * pairs and even < 0.02 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd < 0.02 * pairs:
        return "utf-16-be"
    return None


def _decode_damaged_utf8(data: bytes) -> str | None:
    """Decode UTF-8 with a few bad bytes in it, which any other encoding would garble throughout."""
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(map(len, re.findall("[^\x00-\x7f\ufffd]+", text)))
    return text if good >= 4 * bad else None


def _guess(data: bytes) -> str:
    import charset_normalizer

    matches = list(charset_normalizer.from_bytes(data, cp_exclusion=_WIDE))
    if not matches:
        raise _not_text("its bytes are text in no known encoding")
    best = matches[0]
    # short Western texts fit a dozen encodings about equally well: then the most common wins
    equals = [
        match
        for match in matches
        if match.chaos <= best.chaos and match.coherence >= best.coherence - _SAME_COHERENCE
    ]
    names = {name for match in equals for name in match.could_be_from_charset}
    encoding = next((name for name in _COMMON if name in names), best.encoding)
    return data.decode(encoding, "replace")


def _not_text(reason: str) -> ExtractionError:
    return ExtractionError(
        "binary",
        f"this is not a text file: {reason}",
        hint="nothing to do, unless the file should be text: then it is damaged",
    )
