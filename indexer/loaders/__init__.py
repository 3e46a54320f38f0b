"""From the bytes of a file to a ``Document``: one module for each format.

Importing this costs nothing: a format's parser is imported when its first file is read. Files are
opened by the caller; nothing here touches the disk or the network.
"""

from __future__ import annotations

import importlib

from indexer.documents import Document
from indexer.errors import ExtractionError, UsageError
from indexer.loaders.detection import HEAD_BYTES, detect
from indexer.loaders.faults import damaged, out_of_memory
from indexer.loaders.media_types import LEGACY_SUFFIXES, MEDIA_TYPES, MediaType

__all__ = ["HEAD_BYTES", "LEGACY_SUFFIXES", "MEDIA_TYPES", "MediaType", "detect", "load"]


def load(data: bytes, *, source: str, name: str, media_type: str) -> Document:
    """Read one file.

    Args:
        data: its bytes.
        source: its address, which decides the document's id.
        name: its file name, the title of documents that state none.
        media_type: a key of ``MEDIA_TYPES``, as named by ``detect``.

    Raises:
        ExtractionError: it cannot be read; the code says why.
        UsageError: there is no such media type.
    """
    media = MEDIA_TYPES.get(media_type)
    if media is None:
        raise UsageError(f"no format is called {media_type!r}; known: {', '.join(MEDIA_TYPES)}")
    if media.binary and not data:
        raise ExtractionError(
            "empty",
            f"the file is empty (0 bytes), which no {media.label} file is",
            hint="its copy or download did not finish: fetch it again",
        )
    module = importlib.import_module(media.module)
    try:
        document: Document = module.load(data, source=source, name=name)
    except ExtractionError:
        raise
    except MemoryError as error:
        raise out_of_memory(f"the {media.label} file") from error
    except RecursionError as error:
        raise ExtractionError(
            "damaged",
            f"the {media.label} file is nested too deeply to be read",
            hint="open it in the program that made it and save it again",
        ) from error
    # a parser raises whatever a malformed document makes it raise; no file may end the run
    except Exception as error:
        raise damaged(f"the {media.label} file", error) from error
    return document
