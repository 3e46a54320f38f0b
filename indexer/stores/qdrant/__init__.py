"""Qdrant as a store: a server, a cluster, or a local folder that stands in for one.

``store.QdrantStore`` writes, beside the collection's own content; ``reader.QdrantReader`` searches
and shows with nothing but the address. Importing this imports no client: that is done on first use.
"""
