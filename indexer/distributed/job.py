"""The pipeline itself: portions of files through readers and embedders, as a Ray Data job."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from indexer.distributed.cluster import ClusterError, ClusterShape
from indexer.distributed.embedding import EmbedFiles
from indexer.distributed.reading import ReadFiles
from indexer.distributed.rows import Receipt, receipts
from indexer.distributed.work import Job, pack_portion
from indexer.indexing.planning import WorkItem

__all__ = ["Pools", "RayJob", "plan_pools"]

_BLOCK_BYTES = 4 * 2**20
_ATTEMPTS_AGAIN = 2  # of a call whose process ended; Ray's own default is without end
_MOST_THREADS = 16  # more of them make one model hardly faster
_WAIT_FOR_PROCESSES_S = 600


@dataclass(frozen=True, slots=True)
class Pools:
    """How many processes do what.

    Args:
        readers: processes that read files, at most.
        embedders: processes that hold the model, at most.
        embedder_cpus: processors of each of these.
        embedder_gpus: GPUs of each of these.
    """

    readers: int
    embedders: int
    embedder_cpus: int
    embedder_gpus: int


def plan_pools(shape: ClusterShape, *, jobs: int | None, use_gpus: bool) -> Pools:
    """Share out a cluster: the model is what takes the time, reading gets about a quarter.

    Args:
        shape: what the cluster has.
        jobs: processes that read; None chooses.
        use_gpus: whether the model may run on them.
    """
    total = sum(shape.cpus)
    if use_gpus and shape.gpus:
        readers = jobs or max(1, total - shape.gpus)
        return Pools(readers, shape.gpus, embedder_cpus=1, embedder_gpus=1)
    readers = jobs or max(1, total // 4)
    rest = max(1, total - readers)
    # a process has to fit into a machine beside some that read
    smallest = min((cpus for cpus in shape.cpus if cpus), default=1)
    room = rest if len(shape.cpus) == 1 else max(1, smallest // 2)
    threads = min(rest, room, _MOST_THREADS)
    return Pools(readers, rest // threads, embedder_cpus=threads, embedder_gpus=0)


class RayJob:
    """Has files read and embedded; Ray is running.

    Args:
        job: what is the same for all files.
        pools: how many processes do what.
    """

    def __init__(self, job: Job, pools: Pools) -> None:
        self._job = job
        self._pools = pools

    def run(self, work: Iterable[list[WorkItem]]) -> Iterator[Receipt]:
        """Work through portions; yield a receipt for each shard as it is written.

        Calls whose process died more often than is tried again yield nothing.

        Raises:
            ClusterError: the cluster gave up.
        """
        try:
            for table in self._tables([pack_portion(portion) for portion in work]):
                yield from receipts(table)
        # Ray raises what its processes raised, errors of its own and bare exceptions
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ClusterError(
                f"Ray gave up: {lines[-1][:300]}; what was finished is kept, run the same command "
                "again to go on"
            ) from error

    def _tables(self, packed: list[bytes]) -> Iterator[Any]:
        import ray.data

        _configure()
        again = {"max_restarts": -1, "max_task_retries": _ATTEMPTS_AGAIN}
        pools = self._pools
        rows = [{"portion": one} for one in packed]
        data = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .map_batches(
                ReadFiles,
                fn_constructor_args=(self._job,),
                batch_size=1,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=pools.readers),
                num_cpus=1,
                **again,
            )
            .map_batches(
                EmbedFiles,
                fn_constructor_args=(self._job,),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=pools.embedders, max_tasks_in_flight_per_actor=2
                ),
                # Ray lets the libraries of a process have as many threads as it has processors
                num_cpus=pools.embedder_cpus,
                num_gpus=pools.embedder_gpus,
                **again,
            )
        )
        yield from data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _configure() -> None:
    import ray.data

    # Told so only by this argument, as of 2.60, that a call is not to be tried for ever
    warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.target_max_block_size = _BLOCK_BYTES
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.wait_for_min_actors_s = _WAIT_FOR_PROCESSES_S
