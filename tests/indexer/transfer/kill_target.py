"""What a test kills: ``python -m tests.indexer.transfer.kill_target PLACE HOME OPERATION``.

PLACE has the model and the files, HOME the collection; both as ``make_place`` arranges them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from indexer.collections.rollback import roll_back
from indexer.transfer.exporting import export_collection
from indexer.transfer.importing import import_collection
from indexer.transfer.snapshots import create_snapshot, restore_snapshot
from indexer.verification.repair import repair
from tests.indexer.verification.collections import open_place


def main() -> None:
    folder, home, operation = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    place = open_place(folder, home)
    if operation == "index":
        place.index()
    elif operation == "import":
        import_collection(place.library, folder / "docs.zip", name="copy")
    elif operation == "repair":
        repair(place.directory)
    else:
        with place.library.open("docs") as collection:
            if operation == "snapshot":
                create_snapshot(collection, "second")
            elif operation == "restore":
                restore_snapshot(collection.directory, "first")
            elif operation == "rollback":
                roll_back(collection.directory)
            elif operation == "export":
                export_collection(collection, home / "out.zip", overwrite=True)


if __name__ == "__main__":
    main()
