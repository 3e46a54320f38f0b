"""Reads reStructuredText: docutils' document tree, as text along its sections.

Files that a document wants to include, raw output and configuration files are never read. Roles and
directives that docutils does not know (Sphinx and others have many) keep their text.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Mapping

from docutils import frontend, nodes, utils
from docutils.parsers import rst
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import get_language
from docutils.parsers.rst.states import Inliner

from indexer.documents import Document
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode
from indexer.loaders.rst_tree import write_tree

__all__ = ["load"]

_HEADER_LINE = re.compile(r"[A-Z][A-Za-z0-9-]{0,30}:(?:[ \t]|$)")
_ROLE_NAME = re.compile(
    r":([A-Za-z](?:[\w+.:-]{0,60}\w)?):`|`:([A-Za-z](?:[\w+.:-]{0,60}\w)?):", re.A
)
_DIRECTIVE_NAME = re.compile(
    r"^[ \t]*\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([A-Za-z][\w+.:-]{0,60}?)[ \t]?::",
    re.M | re.A,
)
_EXPLICIT_TARGET = re.compile(r"^(.*?)\s*<([^<>]*)>$", re.S)
_SERIES = {"pep": "PEP", "rfc": "RFC"}
# directives whose arguments and content are instructions to a program
_SILENT = """
    toctree highlight index tabularcolumns currentmodule py:currentmodule automodule autoclass
    autofunction automethod autosummary literalinclude include raw bibliography
"""
_LISTINGS = """
    code-block sourcecode productionlist doctest testcode testoutput testsetup prompt console
    ipython jupyter-execute graphviz mermaid plot plantuml uml
"""
_SILENT_DIRECTIVES = frozenset(_SILENT.split())
_LISTING_DIRECTIVES = frozenset(_LISTINGS.split())
_OWN_DIRECTIVES = _SILENT_DIRECTIVES | _LISTING_DIRECTIVES  # in place of docutils' own, if any


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a reStructuredText file.

    Raises:
        ExtractionError: ``binary`` when it is no text.
    """
    header, body = _split_header(decode(data))
    builder = DocumentBuilder(source=source, name=name, media_type="rst")
    header.update(write_tree(BlockWriter(builder), _parse(body), keep_fields=not header))
    title = header.get("Title", "").replace("``", "")
    if title and header.get("PEP"):
        title = f"PEP {header['PEP']} \N{EN DASH} {title}"
    if not builder.length:
        builder.block(title)  # a bare header can still be found by its title
    return builder.build(title=title, metadata=header)


def _split_header(text: str) -> tuple[dict[str, str], str]:
    """Split off mail-like ``Field: value`` lines at the top, as Python's PEPs have them."""
    fields: dict[str, str] = {}
    lines = text.lstrip("\n").split("\n")
    field = ""
    for number, line in enumerate(lines):
        if not line.strip():
            # without either field, these may be sentences with colons in them
            is_header = "PEP" in fields or "Title" in fields
            return (fields, "\n".join(lines[number:])) if is_header else ({}, text)
        if line[0] in " \t" and field:
            fields[field] += " " + line.strip()
        elif _HEADER_LINE.match(line):
            field, _, value = line.partition(":")
            fields[field] = value.strip()
        else:
            break
    return {}, text


@functools.cache
def _settings() -> frontend.Values:
    # a bare OptionParser, as made here, reads no configuration files
    settings = frontend.get_default_settings(rst.Parser)
    settings.file_insertion_enabled = False
    settings.raw_enabled = False
    settings.syntax_highlight = "none"
    settings.report_level = 5
    settings.halt_level = 6
    settings.warning_stream = False
    # by default, one line of more than 10,000 characters costs the whole document
    settings.line_length_limit = sys.maxsize
    return settings


def _parse(text: str) -> nodes.document:
    _accept_unknown_markup(text)
    document = utils.new_document("<document>", _settings().copy())
    rst.Parser().parse(text, document)
    return document


def _accept_unknown_markup(text: str) -> None:
    """Register what the text uses and docutils lacks; unregistered, it becomes error messages."""
    for match in _ROLE_NAME.finditer(text):
        # roles change how text looks, never what it says: one function serves them all
        name = match.group(1) or match.group(2)
        roles.register_local_role(name, _text_role)  # type: ignore[arg-type]  # stub too narrow
    for match in _DIRECTIVE_NAME.finditer(text):
        name = match.group(1).lower()
        if name in _OWN_DIRECTIVES or not _is_known_directive(name):
            directives.register_directive(name, _TextDirective)


@functools.cache
def _is_known_directive(name: str) -> bool:
    probe = utils.new_document("<probe>", _settings().copy())
    directive, _ = directives.directive(name, get_language("en"), probe)  # type: ignore[arg-type]
    return directive is not None


def _text_role(
    role: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Inliner,
    options: Mapping[str, object] | None = None,
    content: list[str] | None = None,
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    text = nodes.unescape(text)
    explicit = _EXPLICIT_TARGET.match(text)
    if explicit is not None and explicit.group(1):
        text = explicit.group(1)
    elif role.lower() in _SERIES:
        text = f"{_SERIES[role.lower()]} {text}"
    elif text.startswith(("~", "!")):
        # Sphinx: ~ shortens a dotted name to its last part, ! switches the link off
        text = text[1:].rpartition(".")[2] if text[0] == "~" else text[1:]
    return [nodes.inline(rawtext, text)], []


class _AnyOption(dict[str, Callable[[str], str]]):
    """An option table that knows every option."""

    def __missing__(self, name: str) -> Callable[[str], str]:
        return directives.unchanged


class _TextDirective(Directive):
    """Stands for every directive that docutils lacks: its argument and content are text."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    # docutils takes an empty table for "no options allowed"
    option_spec = _AnyOption({"class": directives.unchanged})

    def run(self) -> list[nodes.Node]:
        name = self.name.lower()
        if name in _SILENT_DIRECTIVES:
            return []
        container = nodes.container()
        argument = " ".join(self.arguments)
        if name in _LISTING_DIRECTIVES:
            listing = "\n".join(self.content)
            container += nodes.literal_block(listing, listing)
            return [container]
        if argument:
            inline, _ = self.state.inline_text(argument, self.lineno)
            container += nodes.paragraph(argument, "", *inline)
        self.state.nested_parse(self.content, self.content_offset, container)
        return [container]
