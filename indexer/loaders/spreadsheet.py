"""Reads spreadsheets (XLSX, XLSB, XLS, ODS) with calamine: a section for each sheet."""

from __future__ import annotations

import io
from collections.abc import Iterator

import python_calamine

from indexer.documents import Document
from indexer.errors import ExtractionError
from indexer.loaders.archive import open_archive
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.faults import damaged
from indexer.loaders.records import cell_text, write_rows
from indexer.loaders.supervision import report

__all__ = ["load", "sheets"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a workbook, a line for each row.

    Raises:
        ExtractionError: ``encrypted``, ``damaged`` or ``bomb``.
    """
    builder = DocumentBuilder(source=source, name=name, media_type="xlsx")
    names: list[str] = []
    for sheet_name, rows in sheets(data):
        names.append(sheet_name)
        if rows:
            builder.heading(sheet_name, level=1)
            write_rows(builder, rows)
    # the file's name says more than the only sheet's, which would be taken for a title
    return builder.build(title=name, metadata={"sheets": ", ".join(names)})


def sheets(data: bytes) -> Iterator[tuple[str, Iterator[list[str]] | None]]:
    """Yield the name of each sheet of a workbook with its rows; None where it has no cells.

    Raises:
        ExtractionError: ``encrypted``, ``damaged`` or ``bomb``.
    """
    if not data.startswith(_OLE):
        open_archive(data, what="spreadsheet").close()
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except python_calamine.PasswordError as error:
        raise ExtractionError(
            "encrypted",
            "the spreadsheet is encrypted and needs a password",
            hint="save it without a password",
        ) from error
    except (python_calamine.CalamineError, ValueError, OSError) as error:
        raise damaged("the spreadsheet", error) from error
    names = workbook.sheet_names
    for number, sheet_name in enumerate(names, start=1):
        report(f"sheet {number} of {len(names)}")
        try:
            sheet = workbook.get_sheet_by_name(sheet_name)
        except python_calamine.WorksheetNotFound:
            yield sheet_name, None  # a chart sheet
            continue
        except (python_calamine.CalamineError, ValueError, OSError) as error:
            raise damaged(f"sheet {number} of {len(names)} ({sheet_name!r})", error) from error
        rows = ([cell_text(cell) for cell in row] for row in sheet.iter_rows())
        yield sheet_name, rows if sheet.height else None
