"""Reads e-mail: headers as first lines, all that is text, the names of attachments."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage, MIMEPart

from indexer.documents import Document
from indexer.loaders.blocks import BlockWriter
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode, one_line
from indexer.loaders.html import add_html, parse_html

__all__ = ["load"]

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_ONE_TEXT = ("alternative", "related")  # parts that are one text in several forms, or serve one


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a message; its plain text is preferred to its HTML.

    Raises:
        ExtractionError: ``binary`` when its text is no text.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    builder = DocumentBuilder(source=source, name=name, media_type="email")
    headers = {header: _header(message, header) for header in _HEADERS}
    builder.block("\n".join(f"{header}: {value}" for header, value in headers.items() if value))
    for body in _bodies(message):
        _write_body(builder, body)
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


def _bodies(part: MIMEPart) -> Iterator[MIMEPart]:
    """Yield what holds a message's text: several parts where a picture or a list divides it."""
    is_multipart = part.get_content_maintype() == "multipart"
    if is_multipart and not part.is_multipart():
        yield part  # nothing tells its parts apart
    elif is_multipart and part.get_content_subtype() not in _ONE_TEXT:
        for piece in part.iter_parts():
            if not _is_attachment(piece):
                yield from _bodies(piece)
    elif (body := part.get_body(preferencelist=("plain", "html"))) is not None:
        yield body


def _write_body(builder: DocumentBuilder, body: MIMEPart) -> None:
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


def _is_attachment(part: MIMEPart) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _attachment_names(message: EmailMessage) -> Iterator[str]:
    for part in message.walk():
        if _is_attachment(part):
            yield one_line(part.get_filename() or part.get_content_type())
