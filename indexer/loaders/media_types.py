"""The formats that can be read: their names, their file suffixes and the module that reads each.

Nothing but names and paths: importing this costs nothing, the parsers are imported when needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FILE_NAMES", "LEGACY_SUFFIXES", "MEDIA_TYPES", "SUFFIXES", "MediaType"]


@dataclass(frozen=True, slots=True)
class MediaType:
    """One format.

    Args:
        name: its stable name, as stored in ``Document.media_type``.
        label: its name for people.
        module: the module whose ``load`` reads it.
        suffixes: lower-case file name suffixes, with the dot.
        binary: whether the format is more than text, so that an empty file of it is damaged.
    """

    name: str
    label: str
    module: str
    suffixes: tuple[str, ...]
    binary: bool = False


def _suffixes(words: str) -> tuple[str, ...]:
    return tuple(f".{word}" for word in words.split())


_CODE_SUFFIXES = _suffixes("""
    py pyi pyx js mjs cjs jsx ts mts cts tsx java kt kts scala groovy gradle c h cc cpp cxx hh hpp
    hxx m mm cs fs fsx vb bas go rs swift rb php pl pm lua r jl dart ex exs erl hrl hs clj cljs elm
    ml mli nim zig v vhd vhdl sv f f90 f95 pas d asm s sh bash zsh fish ps1 psm1 bat cmd sql proto
    graphql tf hcl nix cmake mk yaml yml toml ini cfg conf properties env css scss sass less vue
    svelte xml xsd xsl xslt wsdl dtd cu cuh cl glsl hlsl wgsl sol tcl vim el lisp scm rkt al
""")

_ALL = (
    MediaType("pdf", "PDF", "indexer.loaders.pdf", (".pdf",), binary=True),
    MediaType(
        "markdown",
        "Markdown",
        "indexer.loaders.markdown",
        _suffixes("md markdown mdown mkd mkdn mdx qmd rmd"),
    ),
    MediaType(
        "text",
        "plain text",
        "indexer.loaders.plaintext",
        _suffixes("txt text log org adoc asciidoc tex bib srt vtt nfo diff patch"),
    ),
    MediaType("rst", "reStructuredText", "indexer.loaders.rst", _suffixes("rst rest")),
    MediaType("html", "HTML", "indexer.loaders.html", _suffixes("html htm xhtml xht shtml")),
    MediaType(
        "docx", "Word", "indexer.loaders.docx", _suffixes("docx docm dotx dotm"), binary=True
    ),
    MediaType(
        "pptx",
        "PowerPoint",
        "indexer.loaders.pptx",
        _suffixes("pptx pptm ppsx ppsm potx"),
        binary=True,
    ),
    MediaType(
        "xlsx",
        "spreadsheet",
        "indexer.loaders.spreadsheet",
        _suffixes("xlsx xlsm xlsb xltx xls ods"),
        binary=True,
    ),
    MediaType("csv", "CSV", "indexer.loaders.delimited", _suffixes("csv tsv tab psv")),
    MediaType("json", "JSON", "indexer.loaders.json", _suffixes("json geojson ipynb webmanifest")),
    MediaType("jsonl", "JSON Lines", "indexer.loaders.json", _suffixes("jsonl ndjson")),
    MediaType("epub", "EPUB", "indexer.loaders.epub", (".epub",), binary=True),
    MediaType("code", "source code", "indexer.loaders.code", _CODE_SUFFIXES),
    MediaType("email", "e-mail", "indexer.loaders.email", _suffixes("eml mht mhtml")),
)

MEDIA_TYPES: Mapping[str, MediaType] = MappingProxyType({media.name: media for media in _ALL})
"""Every format by its name."""

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {suffix: media.name for media in _ALL for suffix in media.suffixes}
)
"""Name of the format by lower-case suffix."""

FILE_NAMES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("makefile", "dockerfile", "jenkinsfile", "rakefile", "gemfile", "cmakelists.txt"), "code"
    )
)
"""Name of the format by lower-case file name, for files that a suffix does not describe."""

LEGACY_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        ".doc": "Word 97 documents are not supported: save it as .docx or PDF",
        ".ppt": "PowerPoint 97 files are not supported: save it as .pptx or PDF",
        ".rtf": "rich text is not supported: save it as .docx or PDF",
        ".odt": "OpenDocument text is not supported: save it as .docx or PDF",
        ".odp": "OpenDocument presentations are not supported: save it as .pptx or PDF",
        ".msg": "Outlook messages are not supported: save it as .eml",
        ".mobi": "Kindle books are not supported: convert it to EPUB",
    }
)
"""What to do with formats that people expect to work and that do not."""
