"""Which files a run looks at: walks folders, applies patterns, names every file once.

Knows paths and their stamps, never content. A file's identity is its real path, so that a symbolic
link and its target are one document, and links cannot lead in circles.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.errors import UsageError
from indexer.file_times import modified_ns
from indexer.indexing.patterns import PathPatterns

__all__ = [
    "FileEntry",
    "PathProblem",
    "Root",
    "check_roots",
    "concerns",
    "discover",
    "display_path",
]

_SKIPPED_FOLDERS = frozenset({"CVS", "__pycache__", "node_modules"})
_SKIPPED_FILES = frozenset({"Thumbs.db", "desktop.ini"})
# what office programs, editors and browsers write beside a file while they work on it
_SKIPPED_PREFIXES = (".", "~$")
_SKIPPED_SUFFIXES = ("~", ".tmp", ".swp", ".swx", ".part", ".partial", ".crdownload")


def display_path(path: Path | str) -> str:
    r"""Return a path as text that can be printed and stored: bytes beyond UTF-8 become ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A regular file as its folder lists it.

    Args:
        location: its path: absolute, without symbolic links. A string, since a run over many files
            that have not changed would spend most of its time on making ``Path`` objects.
        size: in bytes.
        mtime_ns: time of last modification, nanoseconds since the epoch.
    """

    location: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.location)

    @property
    def key(self) -> bytes:
        """The path's own bytes: what the ledger knows the file by."""
        return os.fsencode(self.location)

    @property
    def source(self) -> str:
        """The path as shown to people."""
        return self.key.decode("utf-8", "backslashreplace")

    @property
    def name(self) -> str:
        """The last part of ``source``."""
        return display_path(Path(self.path.name))


@dataclass(frozen=True, slots=True)
class Root:
    """A path that the caller gave, resolved.

    Args:
        path: absolute, without symbolic links.
        is_folder: whether it is a folder.
    """

    path: Path
    is_folder: bool


@dataclass(frozen=True, slots=True)
class PathProblem:
    """Something under a root that could not be looked at.

    Args:
        path: where.
        is_folder: whether files below it may have been missed.
        code: short stable word for the cause.
        message: what happened.
        hint: what the user can do about it.
    """

    path: Path
    is_folder: bool
    code: str
    message: str
    hint: str


def check_roots(paths: Sequence[Path], *, home: Path | None = None) -> tuple[Root, ...]:
    """Resolve the given paths, or refuse them all before anything is done.

    Args:
        paths: files and folders; symbolic links given here are followed.
        home: the program's own directory, which holds the collections.

    Raises:
        UsageError: no path was given, or one is missing, neither file nor folder, or the program's.
    """
    if not paths:
        raise UsageError("no path was given; name at least one file or folder to index")
    return tuple(dict.fromkeys(_root(path, home) for path in paths))


def _root(path: Path, home: Path | None) -> Root:
    shown = display_path(path)
    try:
        resolved = path.resolve(strict=True)
        mode = resolved.stat().st_mode
    except FileNotFoundError:
        raise UsageError(
            f"{shown} does not exist; check the spelling. Nothing was indexed or removed "
            "(to drop what is gone, index the folder that held it with --prune)"
        ) from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a NUL in the name
        raise UsageError(f"{shown} cannot be opened ({error}); nothing was indexed") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UsageError(f"{shown} is neither a file nor a folder; nothing was indexed")
    if home is not None and _is_own_data(resolved, home.resolve()):
        raise UsageError(f"{shown} belongs to the program's own data and is never indexed")
    return Root(resolved, stat.S_ISDIR(mode))


def _is_own_data(path: Path, home: Path) -> bool:
    # files that an application keeps elsewhere in the home, such as uploads, may be given by path
    return path == home or path.is_relative_to(home / "collections")


def discover(
    paths: Sequence[Path],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    home: Path | None = None,
    on_problem: Callable[[PathProblem], None] = lambda _: None,
    within: Sequence[Path] | None = None,
) -> Iterator[FileEntry]:
    """Yield every file to index once, in an order that depends on names alone.

    Hidden files and folders, ``node_modules``, ``__pycache__``, editors' backups and the like are
    passed over unless given themselves or named by a part of an ``include`` pattern
    (``.github/**``, not ``*.md``). Takes no memory for the files that were yielded.

    Args:
        paths: files and folders; folders are searched to any depth, links to folders are not.
        include: patterns in the manner of .gitignore, matched against the path relative to the
            given folder; when there are any, only files that match are yielded.
        exclude: patterns of files and folders to leave out; stronger than ``include``.
        home: the program's own directory; never entered.
        on_problem: called for each folder or link that could not be followed.
        within: look only at these files and folders, absolute paths none of which is below another;
            of them, what a search of ``paths`` comes by is yielded. None looks at everything.

    Raises:
        UsageError: at the call, before the first file, for a bad path or pattern.
    """
    walk = _Walk(
        roots=check_roots(paths, home=home),
        patterns=PathPatterns(include=include, exclude=exclude),
        home=str(home.resolve()) if home is not None else None,
        on_problem=on_problem,
    )
    return walk.files(within)


def concerns(
    paths: Sequence[Path],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    home: Path | None = None,
) -> Callable[[str], bool]:
    """Return what says of a location whether ``discover`` would look at a file or folder there.

    Decided by names alone, so that it can be asked of what is gone.

    Raises:
        UsageError: as for ``discover``.
    """
    walk = _Walk(
        roots=check_roots(paths, home=home),
        patterns=PathPatterns(include=include, exclude=exclude),
        home=str(home.resolve()) if home is not None else None,
        on_problem=lambda _: None,
    )
    return walk.concerns


@dataclass(slots=True)
class _Walk:
    """One pass over the roots.

    A file belongs to the first root whose search comes by it, and a link's target to the folder
    that it is in, where that is searched. Both are decided by paths alone, so that nothing has to
    be remembered of the files that were yielded.
    """

    roots: Sequence[Root]
    patterns: PathPatterns
    home: str | None
    on_problem: Callable[[PathProblem], None]
    linked: set[str] = field(default_factory=set)

    def files(self, within: Sequence[Path] | None) -> Iterator[FileEntry]:
        for number, root in enumerate(self.roots):
            earlier = [other for other in self.roots[:number] if _overlap(other.path, root.path)]
            for entry in self._under(root, within):
                if not any(self._comes_by(entry.location, other) for other in earlier):
                    yield entry

    def concerns(self, location: str) -> bool:
        """Return whether a file or folder there would be looked at."""
        return any(self._comes_by(location, root, as_folder=True) for root in self.roots)

    def _under(self, root: Root, within: Sequence[Path] | None) -> Iterator[FileEntry]:
        if within is None or root.path in within:
            yield from self._folder(root) if root.is_folder else self._single(root.path)
            return
        for path in within:
            if root.path.is_relative_to(path):  # a folder that holds the root has changed
                yield from self._under(root, None)
            elif root.is_folder and path.is_relative_to(root.path):
                yield from self._part(root, path)

    def _part(self, root: Root, path: Path) -> Iterator[FileEntry]:
        """Yield what a search of a root finds at a path below it, which may be gone."""
        relative = path.relative_to(root.path).as_posix()
        if not self._reaches(root, relative):
            return
        try:
            mode = path.lstat().st_mode
        except OSError:
            return
        if not stat.S_ISDIR(mode):
            if self._wants(path.name, relative):
                yield from self._follow(str(path), is_link=stat.S_ISLNK(mode))
        elif self._enters(str(path), path.name, relative):
            yield from self._folder(root, below=relative + "/")

    def _single(self, path: Path) -> Iterator[FileEntry]:
        if self.patterns.takes(path.name):
            yield from self._stat(str(path))

    def _folder(self, root: Root, below: str = "") -> Iterator[FileEntry]:
        # a stack of listings instead of recursion: folders may be nested deeper than Python allows
        top = _prefix(root)
        stack = [(below, self._list(top + below))]
        while stack:
            folder, listing = stack[-1]
            item = next(listing, None)
            if item is None:
                stack.pop()
                continue
            name = item.name
            relative = folder + name
            if _is_folder(item):
                if self._enters(item.path, name, relative):
                    stack.append((relative + "/", self._list(item.path)))
            elif self._wants(name, relative):
                if item.is_symlink():
                    yield from self._follow(item.path, is_link=True)
                else:
                    yield from self._stat(item.path, item.stat)

    def _list(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as listing:
                return iter(sorted(listing, key=lambda item: os.fsencode(item.name)))
        except FileNotFoundError:
            return iter(())  # removed since its parent was listed
        except OSError as error:
            self._report(folder.rstrip("/"), "unreadable_folder", error, is_folder=True)
            return iter(())

    def _comes_by(self, location: str, root: Root, *, as_folder: bool = False) -> bool:
        """Return whether the search of a root yields the file at a real path.

        Args:
            location: the path.
            root: the root.
            as_folder: it may also be a folder that is entered, or the root itself.
        """
        if location == str(root.path):
            return as_folder or not root.is_folder
        if not root.is_folder:
            return False
        top = _prefix(root)
        if not location.startswith(top):
            return False
        relative = location[len(top) :]
        name = relative.rpartition("/")[2]
        if not self._reaches(root, relative):
            return False
        return self._wants(name, relative) or (
            as_folder and not _is_draft(name) and self._enters(location, name, relative)
        )

    def _reaches(self, root: Root, relative: str) -> bool:
        """Return whether the search of a root enters every folder above a path below it."""
        folder = _prefix(root)
        below = ""
        for part in relative.split("/")[:-1]:
            below += part
            if not self._enters(folder + below, part, below):
                return False
            below += "/"
        return True

    def _enters(self, location: str, name: str, relative: str) -> bool:
        if location == self.home or self._is_hidden(name):
            return False
        return not self.patterns.leaves_out(relative + "/")

    def _wants(self, name: str, relative: str) -> bool:
        return not self._is_hidden(name, is_file=True) and self.patterns.takes(relative)

    def _is_hidden(self, name: str, *, is_file: bool = False) -> bool:
        is_hidden = (
            name.startswith(_SKIPPED_PREFIXES)
            or name in _SKIPPED_FOLDERS
            or name in _SKIPPED_FILES
            or (is_file and _is_draft(name))
        )
        return is_hidden and not self.patterns.names(name)

    def _follow(self, location: str, *, is_link: bool) -> Iterator[FileEntry]:
        if not is_link:
            yield from self._stat(location)
            return
        try:
            target = str(Path(location).resolve(strict=True))
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop, before Python 3.13
            self._report(location, "broken_link", error, is_folder=False)
            return
        own = self.home is not None and _is_below(target, self.home)
        if own or target in self.linked or Path(target).is_dir():
            return
        if not any(self._comes_by(target, root) and _is_listed(target) for root in self.roots):
            self.linked.add(target)
            yield from self._stat(target)

    def _stat(
        self, location: str, look: Callable[..., os.stat_result] | None = None
    ) -> Iterator[FileEntry]:
        try:
            status = (look or Path(location).stat)(follow_symlinks=False)
        except FileNotFoundError:
            return  # removed since its folder was listed
        except OSError as error:
            self._report(location, "unreadable", error, is_folder=False)
            return
        if stat.S_ISREG(status.st_mode):  # sockets, pipes and devices have no content to keep
            yield FileEntry(location, status.st_size, modified_ns(status))

    def _report(self, location: str, code: str, error: Exception, *, is_folder: bool) -> None:
        cause = getattr(error, "strerror", None) or str(error)
        hint = {
            "unreadable_folder": "mend that, most often by its permissions, or leave it out "
            "with --exclude; nothing that was indexed from it is removed",
            "broken_link": "mend or remove the link, or leave it out with --exclude",
            "unreadable": "check the file's permissions, or leave it out with --exclude",
        }[code]
        what = "the folder cannot be listed" if is_folder else "the path cannot be followed"
        self.on_problem(PathProblem(Path(location), is_folder, code, f"{what}: {cause}", hint))


def _prefix(root: Root) -> str:
    """Return what the locations of all files in a folder begin with."""
    return str(root.path).rstrip("/") + "/"


def _is_draft(name: str) -> bool:
    return name.endswith(_SKIPPED_SUFFIXES) or (name.startswith("#") and name.endswith("#"))


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _is_below(location: str, folder: str) -> bool:
    return location == folder or location.startswith(folder.rstrip("/") + "/")


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_listed(location: str) -> bool:
    """Return whether the folder of a file can be listed, so that a search comes by the file."""
    return os.access(location.rpartition("/")[0] or "/", os.R_OK | os.X_OK)
