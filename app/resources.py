"""The one place of the app where its parts are put together."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from app.models import Models
from app.open_collections import OpenCollections
from app.quality.evaluations import Evaluations
from app.quality.measurements import MeasurementFolder
from app.quality.measuring import measuring
from app.services import Services
from app.serving.accounts import Accounts, read_accounts
from app.serving.addresses import is_local
from app.serving.downloads import Downloads
from app.serving.metrics import Metrics
from app.work.checking import Checker
from app.work.discarding import discard_rest
from app.work.indexing import IndexingWorker
from app.work.job_queue import JobQueue
from app.work.rebuild_requests import RebuildRequests
from app.work.rebuilding import Rebuilder
from app.work.upkeep import Upkeep
from app.work.uploads import UploadFolder, UploadLimits
from indexer.collections.library import Library
from indexer.embedder import Embedder, load_embedder
from indexer.evaluation.judged_sets import JudgedSets
from indexer.extraction import ExtractionLimits
from indexer.indexing.index_report import IndexOptions
from indexer.preview import Previewer, PreviewLimits
from indexer.settings import Settings, load

__all__ = ["accounts", "build", "services"]


def build(settings: Settings, *, takes_paths: bool) -> Services:
    """Put the parts together; nothing runs yet.

    Args:
        settings: in force for as long as the app runs.
        takes_paths: whether users may name paths of this machine.
    """

    def load_model(name: str) -> Embedder:
        return load_embedder(
            name,
            device=settings.device,
            dtype=settings.dtype,
            batch_tokens=settings.batch_tokens,
        )

    library = Library(settings.home)
    collections = OpenCollections(library)
    models = Models(load_model)
    sets = JudgedSets(library.home)
    measurements = MeasurementFolder(library.home / "quality")
    queue = JobQueue(library.home / "jobs")
    options = IndexOptions(
        jobs=settings.jobs,
        max_memory_mb=settings.max_memory_mb,
        limits=ExtractionLimits(
            timeout_s=settings.timeout_s, memory_bytes=settings.memory_mb * 1024 * 1024
        ),
    )
    limits = UploadLimits(settings.upload_mb << 20, settings.uploads_mb << 20)
    uploads = UploadFolder(library.home, limits)
    tidy_up = partial(discard_rest, collections=collections, uploads=uploads, queue=queue)
    worker = IndexingWorker(queue, collections, models.get, options, tidy_up=tidy_up)

    def take_up_mended(name: str) -> None:
        collections.retire(name)  # its files may be others now
        worker.take_up(name)

    return Services(
        settings=settings,
        library=library,
        collections=collections,
        models=models,
        uploads=uploads,
        queue=queue,
        worker=worker,
        upkeep=Upkeep(
            library,
            collections,
            uploads,
            worker,
            rebuilds=Rebuilder(RebuildRequests(library.home / "rebuilds"), collections, models.get),
            checks=Checker(
                library,
                library.home / "checks",
                resting=worker.resting,
                on_mended=take_up_mended,
                is_settled=lambda name: not worker.activity().of(name).is_busy,
            ),
            measurements=measurements,
            is_read_only=settings.read_only,
        ),
        metrics=Metrics(),
        sets=sets,
        evaluations=Evaluations(measuring(collections, models, sets), measurements),
        previewer=Previewer(PreviewLimits(memory_bytes=settings.memory_mb * 1024 * 1024)),
        downloads=Downloads(),
        takes_paths=takes_paths,
    )


@st.cache_resource(show_spinner=False, on_release=Services.close)
def services() -> Services:
    """Return what all sessions of this process share; started by the first call."""
    address, names = st.get_option("server.address"), st.get_option("server.allowedHosts")
    hosts = [address or "0.0.0.0", *names]
    takes_paths = all(is_local(host.strip("[]")) for host in hosts)
    rules = accounts()
    built = build(load().settings, takes_paths=takes_paths and (rules is None or rules.is_local))
    built.start()
    return built


@st.cache_resource(show_spinner=False)
def accounts() -> Accounts | None:
    """Return who may use the pages; None where no login is set up.

    Raises:
        UsageError: the login settings cannot be right.
    """
    files = [Path(file) for file in st.get_option("secrets.files")]
    return read_accounts(files, api_key=load().settings.api_key)
