"""Moves collections: copies of contents, snapshots, and archives for other machines."""
