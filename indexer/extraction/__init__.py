"""Reads files in child processes that hostile or broken documents cannot harm the run from.

A file goes in, its document and chunks come out; whatever its parser does, the file alone fails.
"""

from __future__ import annotations

from indexer.extraction.pool import ExtractionPool
from indexer.extraction.values import ExtractionLimits, ExtractionRequest, ExtractionResult

__all__ = ["ExtractionLimits", "ExtractionPool", "ExtractionRequest", "ExtractionResult"]
