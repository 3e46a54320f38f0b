"""How much there is at this moment: jobs, files, passages, models. Read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from app.services import Services
from indexer.errors import IndexerError

__all__ = ["gauges"]


def gauges(services: Services) -> Iterator[Metric]:
    """Yield the state of the app; a collection that cannot be read is left out."""
    yield from _work(services)
    yield from _contents(services)
    loaded = GaugeMetricFamily(
        "gircse_model_ready", "Whether the model is loaded.", labels=["model"]
    )
    for name in services.models.names():
        loaded.add_metric([name], float(services.models.status(name).state == "ready"))
    yield loaded


def _work(services: Services) -> Iterator[Metric]:
    activity = services.worker.activity()
    jobs = GaugeMetricFamily(
        "gircse_jobs", "Indexing jobs that are not done, by state.", labels=["state"]
    )
    counts = {
        "running": int(activity.running is not None),
        "waiting": len(activity.waiting),
        "held": len(activity.held),
        "stopped": len(activity.stopped),
    }
    for state, count in counts.items():
        jobs.add_metric([state], float(count))
    yield jobs
    progress = activity.running.progress if activity.running else None
    left = progress.files_total - progress.files_done if progress else 0
    yield GaugeMetricFamily(
        "gircse_job_files_left", "Files that the running job has still to do.", value=left
    )


def _contents(services: Services) -> Iterator[Metric]:
    files = GaugeMetricFamily(
        "gircse_files", "Files by their state.", labels=["collection", "state"]
    )
    passages = GaugeMetricFamily(
        "gircse_passages", "Passages that can be searched.", labels=["collection"]
    )
    for name in services.library.names():
        try:
            with services.collections.use(name) as collection:
                totals = collection.ledger.totals()
        except IndexerError:  # its page and `gircse verify` say what is wrong with it
            continue
        passages.add_metric([name], float(totals.chunks))
        for state, count in totals.states.items():
            files.add_metric([name, state], float(count))
    yield files
    yield passages
