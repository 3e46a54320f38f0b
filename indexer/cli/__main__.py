"""``python -m indexer.cli`` is ``gircse``."""

from indexer.cli import main

main()
