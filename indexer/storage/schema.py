"""The tables of a collection's database, as numbered migrations.

Knows SQL only. A migration is never edited once released: what changes is a new one at the end.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS", "TOKENIZER"]

APPLICATION_ID = 0x47495243
"""Marks the file as a collection of this program ("GIRC")."""

TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
"""How FTS5 cuts and stems words. Without the categories of combining marks (Mn, Mc) it would cut
Hindi and Thai words at every vowel sign; accents are removed all the same."""

_FIRST = (
    # One row per file that a run has seen.
    """
    CREATE TABLE files (
        path BLOB PRIMARY KEY,
        source TEXT NOT NULL,
        document_id TEXT NOT NULL UNIQUE,
        size INTEGER,
        mtime_ns INTEGER,
        sha256 TEXT,
        state TEXT NOT NULL,
        code TEXT,
        message TEXT,
        hint TEXT,
        chunks INTEGER NOT NULL DEFAULT 0,
        updated_at REAL NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX files_by_state ON files(state, source)",
    # Numbers that belong to the collection as a whole.
    "CREATE TABLE state (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    """
    INSERT INTO state VALUES
        ('change', 0),        -- raised by every transaction that changes documents
        ('change_floor', 0),  -- row_changes is complete for changes above this one
        ('chunks', 0),        -- how many there are
        ('index_token', '')   -- the index file that belongs to this database
    """,
    # The vector archive: which row holds the embedding of which text, and a checksum per batch.
    "CREATE TABLE vectors (row INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE)",
    """
    CREATE TABLE vector_batches (
        first_row INTEGER PRIMARY KEY,
        rows INTEGER NOT NULL,
        sha256 BLOB NOT NULL
    )
    """,
    # Documents and their chunks. The text of a document is apart: lists never read past it.
    """
    CREATE TABLE documents (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        title TEXT NOT NULL,
        media_type TEXT NOT NULL,
        modified_at REAL NOT NULL,
        size_bytes INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        metadata TEXT NOT NULL
    )
    """,
    "CREATE INDEX documents_by_source ON documents(source, id)",
    """
    CREATE TABLE document_texts (
        document INTEGER PRIMARY KEY REFERENCES documents(key) ON DELETE CASCADE,
        text BLOB NOT NULL,     -- UTF-8, deflated
        sections TEXT NOT NULL  -- JSON: [[start, end, page, [heading, …]], …]
    )
    """,
    """
    CREATE TABLE chunks (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        document INTEGER NOT NULL REFERENCES documents(key) ON DELETE CASCADE,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        page INTEGER,
        row INTEGER NOT NULL
    )
    """,
    "CREATE INDEX chunks_by_document ON chunks(document, row)",
    "CREATE INDEX chunks_by_row ON chunks(row)",
    # Archive rows that chunks began or ceased to use, for indexes that follow the database.
    "CREATE TABLE row_changes (change INTEGER NOT NULL, row INTEGER NOT NULL)",
    "CREATE INDEX row_changes_by_change ON row_changes(change, row)",
    # The words. A table with its own content (not external or contentless): a deletion reads what
    # to remove from the index itself, so index and content cannot drift apart.
    f"""
    CREATE VIRTUAL TABLE chunk_words USING fts5(
        context, text, pieces, tokenize = "{TOKENIZER}"
    )
    """,
    "CREATE VIRTUAL TABLE chunk_vocabulary USING fts5vocab('chunk_words', 'row')",
)

_INDEX_FILES = (
    # Several indexes may be made over one database: which file of each belongs to it, and the
    # change that it contains. An index is called after its folder; "." is the database's own.
    """
    CREATE TABLE index_files (
        name TEXT PRIMARY KEY, token TEXT NOT NULL, change INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO index_files
        SELECT '.', token.value, floor.value FROM state token, state floor
        WHERE token.name = 'index_token' AND floor.name = 'change_floor' AND token.value != ''
    """,
    "DELETE FROM state WHERE name = 'index_token'",
)

# Tells that a byte of a document was altered; NULL for those stored before there was any.
_DIGESTS = (
    "ALTER TABLE documents ADD COLUMN content_sha256 BLOB",  # text, sections and chunks
    "ALTER TABLE documents ADD COLUMN record_sha256 BLOB",  # the other columns, and that
)

_DOCUMENT_CHANGES = (
    # In which order documents changed last, for what follows the database document by document
    # (Qdrant). One row per document that there is or was; what was deleted has no document.
    """
    CREATE TABLE document_changes (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows with every change
        document TEXT NOT NULL UNIQUE,
        content INTEGER  -- sequence of its content's last change; null where that is this one
    )
    """,
    "INSERT INTO document_changes (document) SELECT id FROM documents ORDER BY key",
    # Stamps of the last push to each Qdrant collection and of the one after it: where Qdrant has
    # neither of them, it or this database is another one than before (a backup, say).
    """
    CREATE TABLE pushes (
        target TEXT PRIMARY KEY, accepted TEXT NOT NULL, intended TEXT NOT NULL
    ) WITHOUT ROWID
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _INDEX_FILES, _DIGESTS, _DOCUMENT_CHANGES)
"""Entry n brings a database from version n to version n + 1."""
