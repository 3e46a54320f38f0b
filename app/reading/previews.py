"""Previews as HTML. Every string of a document passes through ``app.rendering`` on its way."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from app.rendering import plain
from indexer.preview import Box, Listing, Markup, PagePicture, Piece, Preview, Table
from indexer.wording import count_text

__all__ = ["preview_html"]

_QUOTED_CHARS = 300


def preview_html(preview: Preview, *, title: str, passage: str) -> str:
    """Return a preview as HTML; the passage in it begins at the element ``gs-found``.

    Args:
        preview: what to show.
        title: of the document.
        passage: as text, for those who cannot see it marked on a picture.
    """
    match preview:
        case PagePicture():
            return _page(preview, title, passage)
        case Markup():
            return f'<div class="gs-markup">{preview.html}</div>'  # safe HTML already
        case Listing():
            return _listing(preview)
        case Table():
            return _table(preview, title)


def _page(page: PagePicture, title: str, passage: str) -> str:
    described = f"Page {page.page} of {page.pages} of {title}."
    if page.has_passage:
        quoted = passage if len(passage) <= _QUOTED_CHARS else passage[:_QUOTED_CHARS] + "…"
        described += f" Marked on it: {quoted}"
    picture = base64.b64encode(page.picture).decode("ascii")
    return (
        '<div class="gs-page">'
        f'<img src="data:{page.picture_type};base64,{picture}" alt="{plain(described)}" '
        f'width="{page.width}" height="{page.height}">'
        f"{_boxes(page.passage, 'gs-box')}{_boxes(page.highlights, 'gs-box gs-box-mark')}"
        "</div>"
    )


def _boxes(boxes: Iterable[Box], classes: str) -> str:
    drawn = []
    for number, box in enumerate(boxes):
        anchor = ' id="gs-found"' if classes == "gs-box" and not number else ""
        place = (
            f"left:{box.left:.3%};top:{box.top:.3%};width:{box.width:.3%};height:{box.height:.3%}"
        )
        drawn.append(f'<div{anchor} class="{classes}" style="{place}"></div>')
    return "".join(drawn)


def _listing(listing: Listing) -> str:
    first, last = listing.passage or (0, -1)
    rows = []
    for number, line in enumerate(listing.lines, start=listing.first_line):
        pieces = "".join(_code(piece) for piece in line)
        anchor = ' id="gs-found"' if number == first else ""
        found = ' class="gs-in-line"' if first <= number <= last else ""
        rows.append(
            f'<tr{found}{anchor}><td class="gs-number">{number}</td>'
            f"<td><code>{pieces}</code></td></tr>"
        )
    label = plain(f"Source code, {listing.language}" if listing.language else "Source code")
    return (
        f'<div class="gs-scroll" role="region" tabindex="0" aria-label="{label}">'
        '<table class="gs-listing">'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _code(piece: Piece) -> str:
    text = plain(piece.text)
    if piece.is_highlighted:
        return f"<mark>{text}</mark>"  # in the colour of text, which is readable on the mark's own
    return f'<span class="gs-code-{piece.kind}">{text}</span>' if piece.kind else text


def _table(table: Table, title: str) -> str:
    width = max([len(table.header), *(len(row.cells) for row in table.rows)], default=0)
    head = ""
    if table.header:
        names = (*table.header, *[""] * (width - len(table.header)))
        cells = "".join(f'<th scope="col">{plain(name)}</th>' for name in names)
        head = f'<thead><tr><th class="gs-number" scope="col">#</th>{cells}</tr></thead>'
    rows, is_first = [], True
    for row in table.rows:
        anchor = ' id="gs-found"' if row.is_found and is_first else ""
        is_first = is_first and not row.is_found
        found = ' class="gs-in-line"' if row.is_found else ""
        texts = (*row.cells, *[""] * (width - len(row.cells)))
        cells = "".join(f"<td>{plain(text)}</td>" for text in texts)
        rows.append(f'<tr{found}{anchor}><td class="gs-number">{row.number}</td>{cells}</tr>')
    caption = f"<caption>{plain(table.name)}</caption>" if table.name else ""
    label = plain(table.name or title)
    hidden = (
        f'<p class="gs-note">{count_text(table.hidden_columns, "further column")} at the right '
        "not shown.</p>"
        if table.hidden_columns
        else ""
    )
    return (
        f'<div class="gs-scroll" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="gs-table">{caption}{head}'
        f"<tbody>{''.join(rows)}</tbody></table></div>{hidden}"
    )
