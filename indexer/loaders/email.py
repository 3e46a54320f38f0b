"""Reads e-mail messages: their headers as first lines, their text, the names of attachments."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage

from indexer.documents import Document
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode, one_line
from indexer.loaders.html import add_html, parse_html

__all__ = ["load"]

_HEADERS = ("Subject", "From", "To", "Cc", "Date")


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a message; its plain text is preferred to its HTML.

    Raises:
        ExtractionError: ``binary`` when its text is no text.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    builder = DocumentBuilder(source=source, name=name, media_type="email")
    headers = {header: _header(message, header) for header in _HEADERS}
    builder.block("\n".join(f"{header}: {value}" for header, value in headers.items() if value))
    _write_body(builder, message)
    attachments = list(_attachment_names(message))
    if attachments:
        builder.block("\n".join(f"Attachment: {attachment}" for attachment in attachments))
    metadata = {header.lower(): value for header, value in headers.items()}
    return builder.build(title=headers["Subject"], metadata=metadata)


def _header(message: EmailMessage, name: str) -> str:
    # the header parser of the standard library fails on some malformed values
    try:
        return one_line(str(message.get(name, "")), limit=1000)
    except (ValueError, IndexError, AttributeError, TypeError):
        raw = dict(message.raw_items()).get(name, "")
        return one_line(str(raw), limit=1000)


def _write_body(builder: DocumentBuilder, message: EmailMessage) -> None:
    body = message.get_body(preferencelist=("plain", "html"))
    if body is None:
        return
    payload = body.get_payload(decode=True)
    text = decode(
        payload if isinstance(payload, bytes) else b"", declared=body.get_content_charset()
    )
    if body.get_content_subtype() != "html":
        builder.block(text)
        return
    root = parse_html(text)
    if root is not None:
        add_html(BlockWriter(builder), root)


def _attachment_names(message: EmailMessage) -> Iterator[str]:
    for part in message.walk():
        if part.get_content_disposition() == "attachment" or part.get_filename():
            yield one_line(part.get_filename() or part.get_content_type())
