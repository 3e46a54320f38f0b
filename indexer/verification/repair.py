"""Mends a collection: what is derived is made anew, what is damaged is set aside and replaced.

A damaged content is not written to: what is sound of it is copied into a new one, which becomes
live in one step, and the old one is renamed. So a repair may be killed at any moment, and nothing
is deleted. Documents that suffered are queued, and the next run reads them from their files.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.collections.config import DATABASE_FILE, read_settings
from indexer.collections.generation import Generation, make_content
from indexer.collections.generation_record import ROOT_CONTENT, GenerationRecord, Generations
from indexer.collections.generations import forget_previous, read_generations
from indexer.errors import IndexerError
from indexer.reindexing.drafts import DRAFT_NOTE
from indexer.storage.database import Database
from indexer.storage.seal import break_seal, seal_path
from indexer.storage.segments import disk_errors
from indexer.transfer.adoption import adopt, adopting, link_index, rename_index
from indexer.transfer.copying import link_or_copy
from indexer.verification.content import OnProgress
from indexer.verification.findings import Problem, Report
from indexer.verification.healing import heal
from indexer.verification.mending import mend_vectors
from indexer.verification.requeueing import add_digests, requeue_damaged
from indexer.verification.salvage import salvage
from indexer.verification.verifier import WAY_OUT, verify
from indexer.verification.words import WORDS_DAMAGED
from indexer.wording import count_text

__all__ = ["Repair", "repair"]


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did.

    Args:
        before: what was wrong.
        done: what was done, in words.
        after: what is still wrong.
    """

    before: Report
    done: tuple[str, ...]
    after: Report


def repair(directory: Path, *, on_progress: OnProgress = lambda what, done, total: None) -> Repair:
    """Examine a collection, mend what can be mended, and examine it again.

    Args:
        directory: the collection's directory.
        on_progress: told where it is.

    Raises:
        CollectionBusyError: another process is writing to the collection, or rebuilds it.
        StorageError: the disk is full or cannot be written.
    """
    before = verify(directory, on_progress=on_progress)
    mender = _Mender(directory, before, on_progress)
    mender.mend()
    after = verify(directory, on_progress=on_progress) if mender.done else before
    still = tuple(_as_not_mended(problem) for problem in after.problems)
    return Repair(before, tuple(mender.done), replace(after, problems=still))


class _Mender:
    """One call of ``repair``."""

    def __init__(self, directory: Path, report: Report, on_progress: OnProgress) -> None:
        self.done: list[str] = []
        self._directory = directory
        self._problems = report.problems
        self._on_progress = on_progress

    def mend(self) -> None:
        self._heal_small_files()
        try:
            generations = read_generations(self._directory)
        except IndexerError:
            return  # without the pointer nothing says what is live; the report has it
        with adopting(self._directory, "repairing") as number:
            self._mend_contents(generations, number)
            self._mend_indexes()

    def _heal_small_files(self) -> None:
        small = [one for one in self._problems if one.part in ("settings", "pointer")]
        for problem in small:
            path = self._directory / problem.file
            self._on_progress(f"one altered byte in {problem.file}", 0, 0)
            if path.is_file() and heal(path):
                self.done.append(f"{problem.file}: the altered byte was found and put right")

    def _mend_contents(self, generations: Generations, number: int) -> None:
        live = generations.live
        used = {record.content for record in generations.all}
        for content in sorted({self._content(one) for one in self._problems} - {""}):
            problems = [one for one in self._problems if self._content(one) == content]
            path = self._directory / content / DATABASE_FILE
            if content in used and all(one.file.endswith(seal_path(path).name) for one in problems):
                _write_seal(path)
                self.done.append(f"{problems[0].file}: written anew; the database itself is sound")
            elif content == live.content:
                if path.is_file():  # else nothing is left of its texts
                    self._mend_live(live, problems, number)
            elif content in used:
                self._keep_aside(content)
                forget_previous(self._directory)
                self.done.append(f"{content}: the previous generation is damaged, and dropped")
            else:
                self._keep_aside(content)
                for note in (self._directory / content).glob(DRAFT_NOTE):
                    note.unlink()
                self.done.append(f"{content}: the unfinished rebuild is damaged, and given up")
        self._complete_checksums()

    def _mend_live(self, live: GenerationRecord, problems: list[Problem], number: int) -> None:
        path = live.content_directory(self._directory) / DATABASE_FILE
        if any(_needs_new_content(one) for one in problems):
            self._renew(live, number)
        else:
            if any(one.part == "words" for one in problems):
                self._on_progress("the index of words", 0, 0)
                _rebuild_words(path)
                self.done.append(f"{live.content}: the index of words was made anew")
            self._requeue(path)

    def _renew(self, live: GenerationRecord, number: int) -> None:
        """Copy what is sound of the live content into a new one, and make that live."""
        directory = self._directory
        old = live.content_directory(directory)
        record = replace(live, number=number, content=f"content-{number}")
        new = record.content_directory(directory)
        self._on_progress(f"what is sound of {live.content}", 0, 0)
        settings = read_settings(directory, old)
        make_content(new, settings)
        lost = salvage(old / DATABASE_FILE, new / DATABASE_FILE)
        with closing(Database(new / DATABASE_FILE)) as database:
            rows = mend_vectors(old, new, database, settings)
            rename_index(database, live, record)
        self._requeue(new / DATABASE_FILE)
        if live.store == "faiss" and not self._has_bad_index(live):
            link_index(live.index_directory(directory), record.index_directory(directory))
        aside = self._keep_aside(live.content)
        adopt(directory, record, dropped=live.content)
        self.done.append(
            f"{live.content}: what is sound was copied to {record.content}, which is live now; "
            f"the damaged one is kept as {aside.name}"
        )
        if rows:
            self.done.append(f"{rows:,} vectors were lost, and are computed again by the next run")
        for table, count in sorted((+lost).items()):
            self.done.append(f"at least {count:,} rows of {table} could not be read")

    def _requeue(self, path: Path) -> None:
        with closing(Database(path)) as database:
            count = requeue_damaged(database)
        if count:
            self.done.append(
                f"{count_text(count, 'document')} to be read again: run `gircse index FOLDER -c "
                f"{self._directory.name}`"
            )

    def _complete_checksums(self) -> None:
        """Give a checksum to sound documents of before there were any."""
        live = read_generations(self._directory).live
        path = live.content_directory(self._directory) / DATABASE_FILE
        if not path.is_file():
            return
        with closing(Database(path)) as database:
            count = add_digests(database)
        if count:
            self.done.append(f"{count_text(count, 'document')} got a checksum")

    def _mend_indexes(self) -> None:
        for record in read_generations(self._directory).all:
            if self._has_bad_index(record):
                self._on_progress(f"index of generation {record.number}", 0, 0)
                folder = record.index_directory(self._directory)
                with disk_errors(folder, needed=0):
                    folder.mkdir(exist_ok=True)
                with closing(Generation(self._directory, record)) as generation:
                    generation.store.rebuild_index()
                self.done.append(f"generation {record.number}: its index was built anew")

    def _has_bad_index(self, record: GenerationRecord) -> bool:
        folder = record.index_directory(self._directory)
        return any(
            one.part == "index"
            and ((self._directory / one.file).is_relative_to(folder) or "://" in one.file)
            for one in self._problems
        )

    def _content(self, problem: Problem) -> str:
        """Return the folder of the content that a problem is about; empty when it is of none."""
        if problem.part in ("settings", "pointer", "index", "snapshot", "access"):
            return ""
        first, _, rest = problem.file.partition("/")
        return first if rest and first != "vectors" else ROOT_CONTENT

    def _keep_aside(self, content: str) -> Path:
        """Give all files of a damaged content a second name, that of a folder that is not swept."""
        source = self._directory / content
        number = 1
        while (aside := self._directory / f"{_aside_name(content)}.damaged-{number}").exists():
            number += 1
        with disk_errors(aside, needed=0):
            for path in sorted(_files_of(source, is_root=content == ROOT_CONTENT)):
                target = aside / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, target)
        return aside


def _as_not_mended(problem: Problem) -> Problem:
    """Return a problem that is left with a remedy that is not to repair once more."""
    if "--repair" not in problem.remedy:
        return problem
    return replace(problem, remedy=f"it could not be mended: {WAY_OUT}")


def _write_seal(path: Path) -> None:
    break_seal(path)
    with closing(Database(path)) as database:
        database.seal()


def _needs_new_content(problem: Problem) -> bool:
    """Return whether a problem is in the file itself, not in what a document says in it."""
    if problem.part == "words":
        return problem.what != WORDS_DAMAGED
    return problem.part in ("database", "log", "vectors") or (
        problem.part == "documents" and not problem.documents
    )


def _rebuild_words(path: Path) -> None:
    with closing(Database(path)) as database, database.write() as connection:
        connection.execute("INSERT INTO chunk_words(chunk_words) VALUES ('rebuild')")


def _aside_name(content: str) -> str:
    return "content-0" if content == ROOT_CONTENT else content


def _files_of(folder: Path, *, is_root: bool) -> list[Path]:
    if not is_root:
        return [path for path in folder.rglob("*") if path.is_file()]
    of_content = [*folder.glob("collection.*"), *folder.glob("settings.json")]
    return [*of_content, *folder.glob("vectors/*")]
