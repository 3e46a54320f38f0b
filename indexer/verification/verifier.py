"""Proves a collection sound, or names every file of it that is not, with what to do.

Changes nothing but this: a sound database without a seal gets one. Others may search and index
meanwhile.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from indexer.collections.canary import probe
from indexer.collections.config import CONFIG_FILE, read_settings
from indexer.collections.generation import Generation
from indexer.collections.generation_record import ROOT_CONTENT, GenerationRecord, Generations
from indexer.collections.generations import POINTER_FILE, read_generations
from indexer.collections.write_lock import WriteLock
from indexer.distributed import SHARDS_FOLDER
from indexer.errors import CollectionBusyError, IndexerError, StoreUnreachableError
from indexer.evaluation.judgement_book import FOLDER as JUDGEMENTS_FOLDER
from indexer.reindexing.drafts import DRAFT_NOTE
from indexer.stores.index_file import IndexFile
from indexer.stores.qdrant.place import PLACE_FILE
from indexer.transfer.snapshot_list import INDEX_FOLDER, SNAPSHOT_FILE, SNAPSHOTS_FOLDER
from indexer.verification.content import OnProgress, check_content
from indexer.verification.files import check_json, contents_of, note_strays
from indexer.verification.findings import Findings, Report

__all__ = ["WAY_OUT", "verify"]

_FROM_BACKUP = (
    "run `gircse verify {name} --repair`, which can undo one altered byte; else restore the file "
    "from a backup"
)

WAY_OUT = "restore a snapshot or a backup, or index again into another collection"
"""What to do where no repair helps."""

_OF_FORMAT_1 = (
    *("settings.json", "vectors", "collection.db", "collection.seal.json"),
    *("index.faiss", "index.json"),
)


def verify(
    directory: Path,
    *,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Report:
    """Examine every file of a collection.

    Args:
        directory: the collection's directory.
        on_progress: told where it is.

    Returns:
        What is wrong; damage never raises.
    """
    started = time.perf_counter()
    findings = Findings(directory, directory.name)
    with _still(findings) as is_still:
        _Verification(findings, is_still, on_progress).run()
    return Report(
        name=directory.name,
        problems=tuple(findings.problems),
        remarks=tuple(dict.fromkeys(findings.remarks)),
        counts=dict(findings.counts),
        seconds=time.perf_counter() - started,
    )


@contextmanager
def _still(findings: Findings) -> Iterator[bool]:
    """Keep others from writing, if nobody is: some checks are then possible that else are not."""
    with ExitStack() as stack:
        try:
            lock = WriteLock(findings.directory, name=findings.name)
            stack.enter_context(lock.hold("verifying"))
        except CollectionBusyError as error:
            findings.remarks.append(f"the index of words was not compared: {error}")
            yield False
        except IndexerError as error:
            findings.remarks.append(f"the index of words was not compared: {error}")
            yield False
        else:
            yield True


class _Verification:
    """One call of ``verify``."""

    def __init__(self, findings: Findings, is_still: bool, on_progress: OnProgress) -> None:
        self._findings = findings
        self._directory = findings.directory
        self._is_still = is_still
        self._on_progress = on_progress
        self._damaged: set[str] = set()

    def run(self) -> None:
        directory = self._directory
        mending = _FROM_BACKUP.format(name=self._findings.name)
        check_json(self._findings, directory / CONFIG_FILE, "settings", remedy=mending)
        pointer = directory / POINTER_FILE
        if pointer.exists() or contents_of(directory):
            check_json(self._findings, pointer, "pointer", remedy=mending)
        generations = self._generations()
        used = [] if generations is None else [record.content for record in generations.all]
        for content in dict.fromkeys([*used, *contents_of(directory)]):
            # Of a rebuild that was stopped the note is written last: what lacks it is not gone on
            # with. Without a pointer nothing tells which content is live, and all are examined.
            if content in used or not used or (directory / content / DRAFT_NOTE).exists():
                way_out = _way_out(generations, content, self._findings.name)
                self._check_content(content, is_draft=content not in used, way_out=way_out)
        for record in () if generations is None else generations.all:
            self._check_index(record)
        for folder in self._snapshots():
            self._check_snapshot(folder)
        note_strays(self._findings, self._known(generations))

    def _generations(self) -> Generations | None:
        try:
            return read_generations(self._directory)
        except IndexerError as error:
            if not self._findings.has("pointer", "settings"):
                path = self._directory / POINTER_FILE
                self._findings.add("pointer", path, str(error))
            return None

    def _check_content(self, content: str, *, is_draft: bool, way_out: str) -> None:
        folder = self._directory / content
        known = len(self._findings.problems)
        if is_draft and (folder / DRAFT_NOTE).exists():
            check_json(self._findings, folder / DRAFT_NOTE, "settings")
        try:
            dim = read_settings(self._directory, folder).dim
        except IndexerError:
            dim = 0  # said when its settings are checked
        check_content(
            self._findings,
            folder,
            dim=dim,
            words=self._is_still and not is_draft,
            way_out=way_out,
            on_progress=self._on_progress,
        )
        if len(self._findings.problems) > known:
            self._damaged.add(content)

    def _check_index(self, record: GenerationRecord) -> None:
        folder = record.index_directory(self._directory)
        self._on_progress(f"index of generation {record.number}", 0, 0)
        self._findings.counts["files checked"] += 1
        if not folder.is_dir():
            self._findings.add("index", folder, "it is missing")
            return
        if (folder / PLACE_FILE).exists():
            check_json(self._findings, folder / PLACE_FILE, "settings")
        if record.content in self._damaged or self._findings.has("settings"):
            self._check_index_file(folder)  # opening the content could damage it further
            return
        try:
            with closing(Generation(self._directory, record)) as generation:
                self._check_opened(generation)
        except (CollectionBusyError, StoreUnreachableError) as error:
            again = f"then run `gircse verify {self._findings.name}` again"
            self._findings.add("access", folder, str(error), again)
        except (IndexerError, sqlite3.Error, UnicodeDecodeError) as error:
            self._findings.add("index", folder, str(error))

    def _check_index_file(self, folder: Path) -> None:
        damage = IndexFile(folder).damage()
        if damage is not None:
            self._findings.add("index", *damage)

    def _check_opened(self, generation: Generation) -> None:
        faults = generation.store.check_index()
        for fault in faults:
            where = fault.where if "://" in fault.where else Path(fault.where)
            if fault.is_damage:
                self._findings.add("index", where, fault.what)
            else:
                self._findings.remarks.append(f"{self._findings.file(where)}: {fault.what}")
        if not faults and not self._findings.problems:
            report = probe(generation)
            self._findings.counts["sampled searches"] += report.probed

    def _snapshots(self) -> list[Path]:
        folder = self._directory / SNAPSHOTS_FOLDER
        return [path.parent for path in sorted(folder.glob(f"[!.]*/{SNAPSHOT_FILE}"))]

    def _check_snapshot(self, folder: Path) -> None:
        remedy = (
            f"delete it, `gircse snapshot delete {self._findings.name} {folder.name}`, and make "
            "another one"
        )
        own = Findings(self._directory, self._findings.name, remedy)
        check_json(own, folder / SNAPSHOT_FILE, "snapshot")
        check_content(own, folder, dim=0, words=False, at_rest=True, on_progress=self._on_progress)
        damage = IndexFile(folder / INDEX_FOLDER).damage()
        if damage is not None:
            own.add("index", *damage)
        self._findings.counts["snapshots"] += 1
        self._findings.remarks += own.remarks
        self._findings.problems += [replace(problem, part="snapshot") for problem in own.problems]

    def _known(self, generations: Generations | None) -> Iterator[Path]:
        directory = self._directory
        yield directory / CONFIG_FILE
        yield directory / POINTER_FILE
        yield directory / JUDGEMENTS_FOLDER  # a damaged line is named where it is read
        yield directory / SHARDS_FOLDER  # of runs that were ended; each is checked as it is read
        yield from self._snapshots()
        yield from (directory / content for content in contents_of(directory))
        for record in () if generations is None else generations.all:
            if record.number:
                yield record.index_directory(directory)
            if record.content == ROOT_CONTENT or not record.number:
                yield from (directory / name for name in _OF_FORMAT_1)


def _way_out(generations: Generations | None, content: str, name: str) -> str:
    """Return what to do where the database of a content is gone; empty where a repair helps."""
    if generations is not None and content != generations.live.content:
        return ""
    previous = None if generations is None else generations.previous
    if previous is None or previous.content == content:
        return WAY_OUT
    back = f"return to generation {previous.number} with `gircse collections rollback {name}`"
    return f"{back}, {WAY_OUT}"
