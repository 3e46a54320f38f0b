"""Adapts a model to a collection's own documents: training pairs without labels.

Reads stored passages and writes files of pairs; the training itself is ``gircse_core``'s.
"""
