"""Documents to searchable passages: loaders, chunking, stores, search and the command line.

Meets the model in ``indexer.embedder`` alone, and imports it only when a model is needed.
"""
