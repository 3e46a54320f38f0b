"""What the library page tells of documents and collections, as plain values and words."""
