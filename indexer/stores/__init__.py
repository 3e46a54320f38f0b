"""Stores: payloads, dense and lexical search behind one protocol, ``indexer.stores.base``."""
