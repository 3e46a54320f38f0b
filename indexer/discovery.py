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
from indexer.patterns import PathPatterns

__all__ = ["FileEntry", "PathProblem", "Root", "check_roots", "discover", "display_path"]

_SKIPPED_FOLDERS = frozenset({"CVS", "__pycache__", "node_modules"})
_SKIPPED_FILES = frozenset({"Thumbs.db", "desktop.ini"})
_OFFICE_LOCK_PREFIX = "~$"


def display_path(path: Path) -> str:
    r"""Return a path as text that can be printed and stored: bytes beyond UTF-8 become ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A regular file as its folder lists it.

    Args:
        path: absolute, without symbolic links.
        size: in bytes.
        mtime_ns: time of last modification, nanoseconds since the epoch.
    """

    path: Path
    size: int
    mtime_ns: int

    @property
    def key(self) -> bytes:
        """The path's own bytes: what the ledger knows the file by."""
        return os.fsencode(self.path)

    @property
    def source(self) -> str:
        """The path as shown to people."""
        return display_path(self.path)

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
) -> Iterator[FileEntry]:
    """Yield every file to index once, in an order that depends on names alone.

    Hidden files and folders, ``node_modules``, ``__pycache__`` and the like are passed over unless
    given themselves or named by a part of an ``include`` pattern (``.github/**``, not ``*.md``).

    Args:
        paths: files and folders; folders are searched to any depth, links to folders are not.
        include: patterns in the manner of .gitignore, matched against the path relative to the
            given folder; when there are any, only files that match are yielded.
        exclude: patterns of files and folders to leave out; stronger than ``include``.
        home: the program's own directory; never entered.
        on_problem: called for each folder or link that could not be followed.

    Raises:
        UsageError: at the call, before the first file, for a bad path or pattern.
    """
    roots = check_roots(paths, home=home)
    walk = _Walk(
        patterns=PathPatterns(include=include, exclude=exclude),
        home=home.resolve() if home is not None else None,
        on_problem=on_problem,
    )
    return walk.files(roots)


@dataclass(slots=True)
class _Walk:
    """One pass over the roots."""

    patterns: PathPatterns
    home: Path | None
    on_problem: Callable[[PathProblem], None]
    seen: set[bytes] = field(default_factory=set)

    def files(self, roots: Sequence[Root]) -> Iterator[FileEntry]:
        for root in roots:
            found = self._folder(root.path) if root.is_folder else self._single(root.path)
            for entry in found:
                if entry.key not in self.seen:  # roots may overlap, links may point at any file
                    self.seen.add(entry.key)
                    yield entry

    def _single(self, path: Path) -> Iterator[FileEntry]:
        if self.patterns.takes(path.name):
            yield from self._stat(path)

    def _folder(self, root: Path) -> Iterator[FileEntry]:
        # a stack of listings instead of recursion: folders may be nested deeper than Python allows
        stack = [self._list(root)]
        while stack:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
                continue
            path, relative = Path(item.path), Path(item.path).relative_to(root).as_posix()
            if self._is_folder(item):
                if self._enters(path, relative):
                    stack.append(self._list(path))
            elif not self._is_hidden(item.name) and self.patterns.takes(relative):
                yield from self._follow(item)

    def _list(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as listing:
                return iter(sorted(listing, key=lambda item: os.fsencode(item.name)))
        except FileNotFoundError:
            return iter(())  # removed since its parent was listed
        except OSError as error:
            self._report(folder, "unreadable_folder", error, is_folder=True)
            return iter(())

    @staticmethod
    def _is_folder(item: os.DirEntry[str]) -> bool:
        try:
            return item.is_dir(follow_symlinks=False)
        except OSError:
            return False

    def _enters(self, path: Path, relative: str) -> bool:
        if path == self.home or self._is_hidden(path.name):
            return False
        return not self.patterns.leaves_out(relative + "/")

    def _is_hidden(self, name: str) -> bool:
        is_hidden = (
            name.startswith((".", _OFFICE_LOCK_PREFIX))
            or name in _SKIPPED_FOLDERS
            or name in _SKIPPED_FILES
        )
        return is_hidden and not self.patterns.names(name)

    def _follow(self, item: os.DirEntry[str]) -> Iterator[FileEntry]:
        path = Path(item.path)
        if not item.is_symlink():
            yield from self._stat(path)
            return
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop, before Python 3.13
            self._report(path, "broken_link", error, is_folder=False)
            return
        own = self.home is not None and target.is_relative_to(self.home)
        if not own and not target.is_dir():
            yield from self._stat(target)

    def _stat(self, path: Path) -> Iterator[FileEntry]:
        try:
            status = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # removed since its folder was listed
        except OSError as error:
            self._report(path, "unreadable", error, is_folder=False)
            return
        if stat.S_ISREG(status.st_mode):  # sockets, pipes and devices have no content to keep
            yield FileEntry(path, status.st_size, status.st_mtime_ns)

    def _report(self, path: Path, code: str, error: Exception, *, is_folder: bool) -> None:
        cause = getattr(error, "strerror", None) or str(error)
        hint = {
            "unreadable_folder": "allow this account to list the folder, or leave it out "
            "with --exclude; nothing that was indexed from it is removed",
            "broken_link": "mend or remove the link, or leave it out with --exclude",
            "unreadable": "check the file's permissions, or leave it out with --exclude",
        }[code]
        what = "the folder cannot be listed" if is_folder else "the path cannot be followed"
        self.on_problem(PathProblem(path, is_folder, code, f"{what}: {cause}", hint))
