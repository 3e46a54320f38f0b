"""Reads Markdown (CommonMark with tables): clean text along the headings, without its markup.

Front matter gives title and metadata. Markup that static site generators add to Markdown (Hugo
shortcodes, DocFX includes and images, GitHub alerts) is reduced to the words in it.
"""

from __future__ import annotations

import html
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from indexer.documents import Document
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode
from indexer.loaders.html import add_html, parse_html

__all__ = ["load", "markdown_html", "write_markdown"]

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)
_MAX_FRONT_MATTER_CHARS = 100_000
_SUMMARY_FIELDS = ("summary", "description", "abstract")
_ALERT = re.compile(r"^([ \t]*(?:>[ \t]*)+)\[!(\w+)\][ \t]*$", re.M)
_INCLUDE_LINE = re.compile(r"^[ \t>]*\[!INCLUDE\s*\[[^\]\n]*\]\([^)\n]*\)\s*\][ \t]*$", re.M | re.I)
_INCLUDE = re.compile(r"\[!INCLUDE\s*\[([^\]\n]*)\]\([^)\n]*\)\s*\]", re.I)
_TRIPLE_COLON = re.compile(r"^[ \t]*:::.*$", re.M)
# bounded, or every opening without an end would be a search through the rest of the text
_SHORTCODE = re.compile(r"\{\{[<%](?!/\*)[^{}]{0,2000}?[>%]\}\}")
_SPOKEN_ATTRIBUTE = re.compile(
    r"\b(?:alt|alt-text|caption|title|text|heading|label|cite)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')"
)
_HEADING_ID = re.compile(r"\s*\{[#.][^{}]{0,100}\}\s*$")
_LINE_BREAK_TAG = re.compile(r"<br\b", re.I)

# yaml's C loader is ten times faster; a build without it differs in nothing else
_YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a Markdown file.

    Raises:
        ExtractionError: ``binary`` when it is no text.
    """
    fields, body = _split_front_matter(decode(data))
    builder = DocumentBuilder(source=source, name=name, media_type="markdown")
    builder.block(_summary(fields, body))
    write_markdown(BlockWriter(builder), body)
    title = fields.pop("title", None)
    if title and not builder.length:
        builder.block(title)  # a page whose content is elsewhere can still be found by its name
    return builder.build(title=title, metadata=fields)


def write_markdown(writer: BlockWriter, text: str) -> None:
    """Write the text of Markdown without front matter."""
    _write(writer, _parser().parse(_reduce_extensions(text)))


def markdown_html(data: bytes) -> str:
    """Return a Markdown file as HTML, with whatever HTML stands in it.

    What of its front matter is part of the extracted text comes first.

    Raises:
        ExtractionError: ``binary`` when it is no text.
    """
    fields, body = _split_front_matter(decode(data))
    content = str(_parser().render(_reduce_extensions(body)))
    lead = _summary(fields, body) or ("" if content.strip() else fields.get("title", ""))
    return f"<p>{html.escape(lead)}</p>\n{content}" if lead else content


def _summary(fields: Mapping[str, str], body: str) -> str:
    """Return what the front matter says about a page and the page itself does not repeat."""
    summary = next((fields[field] for field in _SUMMARY_FIELDS if fields.get(field)), "")
    return "" if summary in body else summary


def _parser() -> MarkdownIt:
    # the preset's nesting limit of 20 silently drops what lies deeper
    return MarkdownIt("commonmark", {"maxNesting": 200}).enable(["table", "strikethrough"])


def _split_front_matter(text: str) -> tuple[dict[str, str], str]:
    """Split ``(fields, body)``; what is no valid front matter stays in the body."""
    match = _FRONT_MATTER.match(text, 0, _MAX_FRONT_MATTER_CHARS)
    if match is None:
        return {}, text
    fence, content = match.group(1), match.group(2)
    try:
        parsed = tomllib.loads(content) if fence == "+++" else yaml.load(content, _YamlLoader)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError, RecursionError):
        return {}, text
    if not isinstance(parsed, Mapping):
        return {}, text
    return _flatten(parsed), text[match.end() :]


def _flatten(fields: Mapping[Any, Any]) -> dict[str, str]:
    """Keep what is a value or a list of values.

    Deeper structures are left alone: YAML aliases can make them exponentially large.
    """
    flat: dict[str, str] = {}
    for key, value in fields.items():
        if isinstance(value, list):
            flat[str(key)] = ", ".join(str(v) for v in value[:100] if not _is_nested(v))
        elif value is not None and not _is_nested(value):
            flat[str(key)] = str(value)
    # written for web pages, titles often have entities in them
    return {key: html.unescape(value) for key, value in flat.items()}


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, Sequence) and not isinstance(value, str)
    )


def _reduce_extensions(text: str) -> str:
    text = _SHORTCODE.sub(_spoken, text)
    text = _TRIPLE_COLON.sub(_spoken, text)
    text = _INCLUDE.sub(r"\1", _INCLUDE_LINE.sub("", text))
    return _ALERT.sub(lambda m: f"{m.group(1)}{m.group(2).capitalize()}:", text)


def _spoken(tag: re.Match[str]) -> str:
    """Return the attribute values of a tag that a reader would see."""
    if tag.string.endswith("(", 0, tag.start()):
        return "#"  # the address of a link
    return ". ".join(double or single for double, single in _SPOKEN_ATTRIBUTE.findall(tag.group()))


def _write(writer: BlockWriter, tokens: list[Token]) -> None:
    level: int | None = None  # of the heading being read
    for token in tokens:
        match token.type:
            case "heading_open":
                level = int(token.tag[1])
            case "inline" if level is not None:
                writer.heading(_HEADING_ID.sub("", _inline_text(token)), level=level)
                level = None
            case "inline":
                writer.paragraph(_inline_text(token))
            case "fence" | "code_block":
                writer.paragraph(token.content.strip("\n"))
            case "html_block":
                root = parse_html(token.content)
                if root is not None:
                    add_html(writer, root)
            case _:
                _nest(writer, token)
    writer.close()


def _nest(writer: BlockWriter, token: Token) -> None:
    match token.type:
        case "bullet_list_open" | "ordered_list_open":
            writer.open_list()
        case "list_item_open":
            writer.item(f"{token.info}{token.markup} " if token.info else "- ")
        case "bullet_list_close" | "ordered_list_close":
            writer.close_list()
        case "table_open":
            writer.open_table()
        case "tr_open":
            writer.row()
        case "th_open" | "td_open":
            writer.cell()
        case "table_close":
            writer.close_table()


def _inline_text(token: Token) -> str:
    parts: list[str] = []
    for child in cast("list[Token]", token.children or []):
        match child.type:
            case "text" | "code_inline" | "text_special":
                parts.append(child.content)
            case "image":
                parts.append(_inline_text(child))  # its alternative text
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
            case "html_inline" if _LINE_BREAK_TAG.match(child.content):
                parts.append("\n")
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)
