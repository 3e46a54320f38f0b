"""Which collection a command is about, where it may be named with or without its flag."""

from __future__ import annotations

from typing import Annotated

import typer

from indexer.cli.options import complete_collection
from indexer.errors import UsageError

__all__ = ["CollectionArgument", "NameArgument", "chosen_name"]

NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="COLLECTION",
        help="The collection.",
        show_default="the one that the settings name, or 'default'",
        autocompletion=complete_collection,
    ),
]
CollectionArgument = Annotated[
    str,
    typer.Argument(
        metavar="COLLECTION", help="The collection.", autocompletion=complete_collection
    ),
]


def chosen_name(name: str | None, collection: str | None) -> str | None:
    """Return the collection that was named, by argument or by flag; None when neither was.

    Raises:
        UsageError: both were, and they differ.
    """
    if name is not None and collection is not None and name != collection:
        raise UsageError(f"two collections are named, {name!r} and {collection!r}; name one")
    return name or collection
