"""What a generation is kept in: its database, ledger and rows of vectors, checksummed."""
