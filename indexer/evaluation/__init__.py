"""Measures retrieval on judged sets: metrics, intervals, significance, baselines, tables, plots.

What it measures are the same legs, and the same fusion, that a search uses.
"""
