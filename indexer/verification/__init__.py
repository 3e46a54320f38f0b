"""Proves a collection sound, names what is damaged, and mends what can be mended."""
