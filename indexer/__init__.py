"""Documents to searchable passages: loaders, chunking, stores, search and the command line.

Meets the model in ``indexer.embedder`` and ``indexer.training`` alone, and imports it only when a
model is needed.
"""
