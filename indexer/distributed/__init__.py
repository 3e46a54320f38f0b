"""Indexing on several machines: files are read and embedded by Ray, and stored by this process.

``gircse index --engine ray``. The machines of a Ray cluster turn files into shards of passages and
vectors; here these are taken in by the same code as everything else, so that ids, ledger and
results are the same. Nothing but this package imports Ray, and only when it is asked for.
"""

__all__ = ["SHARDS_FOLDER"]

SHARDS_FOLDER = "shards"
"""In a collection's directory, while a run is going on or one that was ended has left something."""
