"""What the app does in the background: indexing, rebuilding, checking, and keeping uploads."""
