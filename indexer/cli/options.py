"""Options that several commands share, so that a flag means the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

__all__ = [
    "CollectionOption",
    "DeviceOption",
    "FormatOption",
    "ModelOption",
    "QuietOption",
    "StepsOption",
    "TextFormat",
    "WhereOption",
    "YesOption",
    "complete_collection",
    "epilog",
]

TextFormat = Literal["text", "json"]


def epilog(*commands: str, after: Sequence[str] = ()) -> str:
    """Return the end of a command's help: examples, one per line, then further lines.

    The help formatter keeps these line breaks, and would read [bold] and the like as markup.
    """
    blocks = ["\n".join(["Examples:", *(f"$ {command}" for command in commands)])]
    return "\n\n".join([*blocks, "\n".join(after)] if after else blocks)


def complete_collection(incomplete: str) -> list[str]:
    """Return the names of collections that begin like this, for the shell's completion."""
    from indexer import settings
    from indexer.collections.library import Library
    from indexer.errors import IndexerError

    try:
        names = Library(settings.load().settings.home).names()
    except IndexerError:  # completion has no place for a message
        return []
    return [name for name in names if name.startswith(incomplete)]


CollectionOption = Annotated[
    str | None,
    typer.Option(
        "--collection",
        "-c",
        metavar="NAME",
        help="The collection to use.",
        show_default="the one that the settings name, or 'default'",
        autocompletion=complete_collection,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A registered name, a local folder or a hub id; refused where the collection was"
        " made with another.",
        show_default="the collection's own",
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        "--steps",
        "-k",
        metavar="K",
        help="Refinement steps, 0 to 64, as far as the model defines them.",
        show_default="the collection's own",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda, cuda:N or mps.",
        show_default="the best there is",
    ),
]
FormatOption = Annotated[
    TextFormat,
    typer.Option("--format", "-f", help="Text for people, or one JSON document for programs."),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        metavar="CONDITION",
        help="type=pdf,markdown, path=GLOB, after=DATE or before=DATE; may be repeated, and then"
        " all of them hold.",
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Say nothing on stderr but errors."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
