"""Flags of the commands that read files and embed them, and what they make of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.extraction import ExtractionLimits
    from indexer.indexing.embedding import DocumentEmbedder
    from indexer.settings import Settings

__all__ = [
    "BatchTokensOption",
    "DevicesOption",
    "ExcludeOption",
    "IncludeOption",
    "JobsOption",
    "MaxMemoryOption",
    "MemoryOption",
    "TimeoutOption",
    "checked_devices",
    "document_embedder",
    "extraction_limits",
]

IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Take only files that match; may be repeated."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Leave out files that match; may be repeated."),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", metavar="N", help="Processes that read files.", show_default="by cores"
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Give up on a file after this.", show_default="120"),
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        metavar="MIB", help="Give up on a file that needs more memory.", show_default="1024"
    ),
]
MaxMemoryOption = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        "--max-memory-mb",
        metavar="MIB",
        help="Memory for everything but the model: the processes that read files and what waits"
        " for the model. Fewer files are read at once where it is short.",
        show_default="no limit but --memory-mb for each file",
    ),
]
BatchTokensOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Tokens that the model embeds at once; fewer take less memory.",
        show_default="by device",
    ),
]
DevicesOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Embed on several devices, with a model process for each, such as cuda:0,cuda:1.",
        show_default="the one of --device",
    ),
]


def checked_devices(devices: str | None, device: str | None) -> tuple[str, ...]:
    """Return the devices that ``--devices`` names; none where it was not given.

    Raises:
        UsageError: one of them is none, or ``--device`` was given too.
    """
    from indexer.setting_rules import RULES

    if devices is None:
        return ()
    if device is not None:
        raise UsageError(f"--device {device} and --devices {devices} exclude each other; give one")
    named = tuple(name.strip() for name in devices.split(","))
    for name in named:
        if not RULES["device"].accepts(name):
            raise UsageError(f"--devices names {name!r}; expected {RULES['device'].allowed}")
    return named


def document_embedder(
    model: str, settings: Settings, devices: tuple[str, ...], stack: ExitStack
) -> Callable[[], DocumentEmbedder]:
    """Return what loads a model: in this process, or in one for each of several devices.

    Args:
        model: its name.
        settings: device, number type and batch size.
        devices: as ``checked_devices`` returned them.
        stack: ends the processes.
    """

    def load() -> DocumentEmbedder:
        if len(devices) > 1:
            from indexer.indexing.model_processes import ModelProcesses

            return stack.enter_context(
                ModelProcesses(
                    model, devices, dtype=settings.dtype, batch_tokens=settings.batch_tokens
                )
            )
        from indexer import embedder

        return embedder.load_embedder(
            model,
            device=devices[0] if devices else settings.device,
            dtype=settings.dtype,
            batch_tokens=settings.batch_tokens,
        )

    return load


def extraction_limits(settings: Settings) -> ExtractionLimits:
    """Return what reading one file may take."""
    from indexer.extraction import ExtractionLimits

    return ExtractionLimits(
        timeout_s=settings.timeout_s, memory_bytes=settings.memory_mb * 1024 * 1024
    )
