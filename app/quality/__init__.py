"""Judging hits, and measuring searches by what was judged."""
