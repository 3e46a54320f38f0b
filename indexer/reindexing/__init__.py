"""Rebuilding a collection beside itself: another index, another store, or other vectors.

The live generation answers searches and takes new documents the whole time; see ``run``.
"""
