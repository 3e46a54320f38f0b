"""``gircse index --engine ray``: the flags, and what they make of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from indexer.cli.progress import ProgressDisplay
from indexer.cli.terminal import Terminal
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.collections.library import Collection
    from indexer.distributed.work import ClusterModel
    from indexer.indexing.index_report import IndexReport
    from indexer.settings import LoadedSettings, Settings

__all__ = [
    "EngineOption",
    "Indexing",
    "RayAddressOption",
    "RayChoice",
    "RayShardsOption",
    "chosen_ray",
    "ray_indexing",
]

Indexing = Callable[[ProgressDisplay], Callable[..., "IndexReport"]]
"""Makes, for a display, what indexes files by the arguments of ``index_paths``."""

EngineOption = Annotated[
    Literal["local", "ray"],
    typer.Option(
        help="Read and embed in processes of this machine, or by Ray, on one machine or many.",
    ),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A running Ray cluster, such as head:6379, or auto for the one this machine is in.",
        show_default="Ray on this machine alone",
    ),
]
RayShardsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the machines of a cluster leave what they have embedded; all of them see it.",
        show_default="in the collection's own folder",
    ),
]


@dataclass(frozen=True, slots=True)
class RayChoice:
    """That Ray is to be used, and how.

    Args:
        address: of a cluster; None stands for this machine alone.
        shards: folder that all machines share; None stands for the collection's own.
        jobs: processes that read files; None leaves it to the cluster's size.
        use_gpus: whether the model may run on GPUs.
    """

    address: str | None
    shards: Path | None
    jobs: int | None
    use_gpus: bool


def chosen_ray(
    engine: str,
    *,
    address: str | None,
    shards: Path | None,
    devices: str | None,
    loaded: LoadedSettings,
) -> RayChoice | None:
    """Return how Ray is to be used; None when it is not.

    Raises:
        UsageError: the flags do not fit together, or Ray is not installed.
    """
    if engine != "ray":
        for flag, value in (("--ray-address", address), ("--ray-shards", shards)):
            if value is not None:
                raise UsageError(f"{flag} {value} means nothing without --engine ray; add that")
        return None
    from indexer.distributed.cluster import check_installed

    device = loaded.settings.device
    named = devices or (device if device not in (None, "cpu", "cuda") else None)
    if named is not None:
        raise UsageError(
            f"with --engine ray, Ray hands out the devices, not {named}; leave it out, or choose"
            " --device cpu"
        )
    check_installed()
    is_alone = address is None
    return RayChoice(
        address=address,
        shards=shards,
        jobs=loaded.settings.jobs if is_alone or loaded.is_explicit("jobs") else None,
        use_gpus=device != "cpu",
    )


def ray_indexing(
    target: Collection,
    choice: RayChoice,
    loaded: LoadedSettings,
    terminal: Terminal,
    stack: ExitStack,
) -> Indexing:
    """Return what indexes into a collection by Ray, which is ended when the stack is left."""
    from indexer.distributed.cluster import RayCluster
    from indexer.distributed.engine import RayEngine

    settings = loaded.settings
    threads = os.cpu_count() or 1
    cluster = stack.enter_context(RayCluster(choice.address, cpus=settings.jobs + threads))

    def start(display: ProgressDisplay) -> Callable[..., IndexReport]:
        engine = RayEngine(
            target,
            cluster,
            model=_cluster_model(target.config.model, settings),
            jobs=choice.jobs,
            use_gpus=choice.use_gpus,
            shards=choice.shards,
            on_start=lambda: display.phase("Starting Ray"),
            on_note=terminal.note,
        )
        return engine.index

    return start


def _cluster_model(model: str, settings: Settings) -> ClusterModel:
    from indexer.distributed.work import ClusterModel
    from indexer.embedder import load_embedder

    load = partial(
        load_embedder,
        model,
        device=settings.device,
        dtype=settings.dtype,
        batch_tokens=settings.batch_tokens,
    )
    return ClusterModel(tokenizer=partial(_tokenizer_file, model), load=load)


def _tokenizer_file(model: str) -> Path:
    from indexer.embedder import model_info

    return model_info(model).tokenizer_file
