import inspect
import os
import sys
from pathlib import Path

import pytest

from indexer.errors import UsageError
from indexer.indexing import discovery
from indexer.indexing.discovery import FileEntry, PathProblem, check_roots, concerns, discover


def write(path: Path, text: str = "words") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(entries: list[FileEntry], root: Path) -> list[str]:
    return [entry.path.relative_to(root).as_posix() for entry in entries]


def found(root: Path, **options) -> list[str]:
    return names(list(discover([root], **options)), root)


def test_folders_are_searched_to_any_depth_in_the_order_of_names(tmp_path):
    for name in ["b/z.md", "b/a.md", "a.md", "c.md", "b/d/e/f.md", "B.md"]:
        write(tmp_path / name)
    assert found(tmp_path) == ["B.md", "a.md", "b/a.md", "b/d/e/f.md", "b/z.md", "c.md"]


def test_deep_nesting_needs_no_recursion(tmp_path):
    folder = tmp_path
    for _ in range(300):
        folder = folder / "d"
        folder.mkdir()
    write(folder / "deep.md")
    depth, limit = len(inspect.stack()), sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 150)
    try:
        assert [entry.path.name for entry in discover([tmp_path])] == ["deep.md"]
    finally:
        sys.setrecursionlimit(limit)


def test_an_entry_carries_the_stamps_of_the_file(tmp_path):
    path = write(tmp_path / "a.md", "12345")
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    (entry,) = discover([path])
    assert (entry.path, entry.size, entry.mtime_ns) == (path, 5, 1_700_000_000_123_456_789)
    assert entry.key == os.fsencode(path)
    assert entry.source == str(path)


def test_hidden_and_generated_folders_are_passed_over(tmp_path):
    for name in [
        ".git/config",
        ".hidden.md",
        ".venv/lib/a.py",
        "node_modules/x/README.md",
        "src/__pycache__/a.pyc",
        "CVS/Entries",
        "~$report.docx",
        "Thumbs.db",
        "src/a.py",
    ]:
        write(tmp_path / name)
    assert found(tmp_path) == ["src/a.py"]


def test_hidden_paths_are_taken_when_given_themselves(tmp_path):
    hidden = write(tmp_path / ".notes" / "a.md")
    dotfile = write(tmp_path / ".todo.md")
    entries = list(discover([hidden.parent, dotfile]))
    assert [entry.path for entry in entries] == [hidden, dotfile]


def test_include_brings_in_hidden_paths_only_when_a_part_names_them(tmp_path):
    for name in [".github/a.md", ".venv/b.md", "node_modules/c.md", "d.md", "e.txt"]:
        write(tmp_path / name)
    assert found(tmp_path, include=["*.md"]) == ["d.md"]
    assert found(tmp_path, include=[".github/**"]) == [".github/a.md"]
    assert found(tmp_path, include=["*.md", "node_modules/"]) == ["d.md", "node_modules/c.md"]


def test_include_and_exclude_read_as_gitignore_does(tmp_path):
    for name in ["a.md", "b.txt", "docs/a.md", "docs/old/c.md", "x/docs/d.md"]:
        write(tmp_path / name)
    assert found(tmp_path, include=["/docs/"]) == ["docs/a.md", "docs/old/c.md"]
    assert found(tmp_path, include=["docs/"], exclude=["old/"]) == ["docs/a.md", "x/docs/d.md"]
    assert found(tmp_path, include=["*.md"], exclude=["*"]) == []
    assert found(tmp_path, exclude=["*.md", "!/a.md"]) == ["a.md", "b.txt"]


def test_an_excluded_folder_is_not_even_listed(tmp_path, monkeypatch):
    write(tmp_path / "huge" / "a.md")
    write(tmp_path / "b.md")
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(
        discovery.os, "scandir", lambda path: listed.append(Path(path)) or scandir(path)
    )
    assert found(tmp_path, exclude=["huge"]) == ["b.md"]
    assert listed == [tmp_path]


@pytest.mark.parametrize("pattern", ["!", "", "#note", "[z-a]"])
def test_a_pattern_that_means_nothing_is_refused(tmp_path, pattern):
    with pytest.raises(UsageError, match="--exclude"):
        discover([tmp_path], exclude=[pattern])


def test_links_to_folders_are_not_followed(tmp_path):
    write(tmp_path / "real" / "a.md")
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    assert found(tmp_path) == ["real/a.md"]


def test_a_link_given_as_root_is_followed(tmp_path):
    path = write(tmp_path / "real" / "a.md")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [entry.path for entry in discover([tmp_path / "link"])] == [path]


def test_a_file_and_the_links_to_it_are_one_entry(tmp_path):
    path = write(tmp_path / "docs" / "m.md")
    (tmp_path / "docs" / "a.md").symlink_to(path)
    (tmp_path / "docs" / "z.md").symlink_to(path)
    outside = write(tmp_path / "outside.md")
    (tmp_path / "docs" / "out.md").symlink_to(outside)
    assert [entry.path for entry in discover([tmp_path / "docs"])] == [path, outside]


def test_equal_content_and_hard_links_stay_two_entries(tmp_path):
    path = write(tmp_path / "a.md")
    write(tmp_path / "b.md")
    os.link(path, tmp_path / "c.md")
    assert found(tmp_path) == ["a.md", "b.md", "c.md"]


def test_overlapping_roots_name_each_file_once(tmp_path):
    path = write(tmp_path / "docs" / "a.md")
    write(tmp_path / "b.md")
    entries = list(discover([path, path.parent, tmp_path, tmp_path / "docs" / ".." / "docs"]))
    assert names(entries, tmp_path) == ["docs/a.md", "b.md"]


def test_a_broken_link_is_reported_and_the_rest_is_found(tmp_path):
    write(tmp_path / "b.md")
    (tmp_path / "a.md").symlink_to(tmp_path / "gone.md")
    (tmp_path / "c.md").symlink_to(tmp_path / "c.md")
    problems: list[PathProblem] = []
    entries = list(discover([tmp_path], on_problem=problems.append))
    assert names(entries, tmp_path) == ["b.md"]
    assert [(problem.path.name, problem.code) for problem in problems] == [
        ("a.md", "broken_link"),
        ("c.md", "broken_link"),
    ]


def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_is_found(tmp_path, monkeypatch):
    write(tmp_path / "closed" / "a.md")
    write(tmp_path / "open" / "b.md")
    scandir = os.scandir

    def refusing(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(discovery.os, "scandir", refusing)
    problems: list[PathProblem] = []
    entries = list(discover([tmp_path], on_problem=problems.append))
    assert names(entries, tmp_path) == ["open/b.md"]
    (problem,) = problems
    assert problem.is_folder
    assert "Permission denied" in problem.message
    assert "--exclude" in problem.hint


def test_pipes_and_sockets_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "a.md")
    assert found(tmp_path) == ["a.md"]
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        check_roots([tmp_path / "pipe"])


def test_a_missing_path_is_refused_before_anything_is_yielded(tmp_path):
    write(tmp_path / "a.md")
    with pytest.raises(UsageError, match=r"gone\.md does not exist"):
        discover([tmp_path / "a.md", tmp_path / "gone.md"])
    with pytest.raises(UsageError, match="no path was given"):
        discover([])
    with pytest.raises(UsageError, match="cannot be opened"):
        discover([Path("nul\0inside")])


ODD_NAMES = [
    b"new\nline.md",
    b"back\\slash.md",
    b"latin-\xe9.md",
    b" blank .md",
    b"tab\t.md",
    b"--flag.md",
    "ünï\u202ecode.md".encode(),
    b"quote'\".md",
]


def test_odd_names_are_found_and_shown(tmp_path):
    for name in ODD_NAMES:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_text("words")
    entries = list(discover([tmp_path], include=["*.md"]))
    assert sorted(entry.key.rpartition(b"/")[2] for entry in entries) == sorted(ODD_NAMES)
    shown = {entry.key.rpartition(b"/")[2]: entry.source for entry in entries}
    assert shown[b"latin-\xe9.md"].endswith(r"latin-\xe9.md")
    assert shown[b"new\nline.md"].endswith("new\nline.md")
    for source in shown.values():
        source.encode("utf-8")


def test_the_programs_own_folder_is_never_indexed(tmp_path):
    home = tmp_path / "home"
    write(home / "collections" / "default" / "collection.json")
    upload = write(home / "uploads" / "a.md")
    write(tmp_path / "b.md")
    (tmp_path / "link.json").symlink_to(home / "collections" / "default" / "collection.json")
    assert found(tmp_path, home=home) == ["b.md"]
    assert [entry.path for entry in discover([upload.parent], home=home)] == [upload]
    for own in [home, home / "collections", home / "collections" / "default"]:
        with pytest.raises(UsageError, match="own data"):
            discover([own], home=home)


# --- only some places -----------------------------------------------------------------------------


def test_drafts_of_editors_are_passed_over_unless_named(tmp_path):
    drafts = ["a.md~", "#a.md#", "a.swp", "b.pdf.part", "c.crdownload", "x.tmp"]
    for name in [*drafts, "#1 plan.md", "#folder/a.md", "a.md"]:
        write(tmp_path / name)
    assert found(tmp_path) == ["#1 plan.md", "#folder/a.md", "a.md"]
    assert found(tmp_path, include=["x.tmp"]) == ["x.tmp"]


def test_a_look_at_some_places_finds_what_a_look_at_everything_finds_there(tmp_path):
    for name in ["a.md", "b/c.md", "b/d/e.md", "b/.git/f.md", "g/h.txt", "g/i.md"]:
        write(tmp_path / name)
    places = ["b", "b/.git", "g/h.txt", "g/i.md", "gone.md", "a.md/below"]
    for place in places:
        within = [tmp_path / place]
        entries = discover([tmp_path], include=["*.md"], within=within)
        expected = [
            name
            for name in found(tmp_path, include=["*.md"])
            if name == place or name.startswith(f"{place}/")
        ]
        assert names(list(entries), tmp_path) == expected
    everything = names(list(discover([tmp_path], within=[tmp_path.parent])), tmp_path)
    assert everything == found(tmp_path)
    nothing = discover([tmp_path / "b", tmp_path / "a.md"], within=[tmp_path / "g"])
    assert list(nothing) == []
    (single,) = discover([tmp_path / "b", tmp_path / "a.md"], within=[tmp_path / "a.md"])
    assert single.path == tmp_path / "a.md"


def test_which_places_concern_a_search_is_told_by_their_names(tmp_path):
    write(tmp_path / "docs" / "a.md")
    home = tmp_path / "docs" / "home"
    home.mkdir()
    ask = concerns([tmp_path / "docs"], include=["*.md"], exclude=["old/"], home=home)
    told = {
        **{"docs": True, "docs/gone.md": True, "docs/new folder": True, "docs/new/b.md": True},
        **{"docs/a.md~": False, "docs/.git": False, "docs/.git/HEAD.md": False},
        **{"docs/old/b.md": False, "docs/home/b.md": False, "other/a.md": False, ".": False},
    }
    assert {name: ask(str(tmp_path / name)) for name in told} == told


def test_links_lead_to_files_once_wherever_these_are(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    inside, outside = write(root / "z" / "inside.md"), write(tmp_path / "outside.md")
    hidden = write(root / ".hidden" / "secret.md")
    write(other / "a.md")
    for number, target in enumerate([inside, outside, hidden, outside, hidden, inside]):
        (root / f"{number}.md").symlink_to(target)
    assert [entry.path for entry in discover([root])] == [outside, hidden, inside]
    both = [entry.path for entry in discover([other, root, root / "z", root / ".hidden"])]
    assert both == [other / "a.md", outside, inside, hidden]
