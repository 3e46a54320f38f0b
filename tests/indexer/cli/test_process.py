"""The command as a process of its own: imports, pipes, terminals, signals, and the real model."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GIRCSE = [sys.executable, "-m", "indexer.cli"]
ROOT = Path(__file__).parents[3]
FILES = 300

HEAVY = ["torch", "transformers", "tokenizers", "faiss", "numpy", "streamlit", "qdrant_client"]
REPORT_IMPORTS = """
import json, sys
from indexer.cli import app
try:
    app(sys.argv[1:], prog_name="gircse")
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "GIRCSE_HOME": str(home), "PYTHONPATH": str(ROOT), **more}


def run(home: Path, *args: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [*GIRCSE, *(str(arg) for arg in args)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment(home), **options
    )


@pytest.fixture
def indexed(gircse, notes):
    gircse.ok("index", notes)
    return gircse


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["search", "--help"],
        ["collections", "list"],
        ["status"],
        ["config", "show"],
        ["documents", "list"],
        ["search", "passport", "--mode", "lexical"],
        ["search", "passport", "--mode", "lexical", "--format", "json", "--where", "type=text"],
    ],
    ids=" ".join,
)
def test_what_needs_no_model_imports_nothing_heavy(indexed, args):
    done = subprocess.run(
        [sys.executable, "-c", REPORT_IMPORTS, *args],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(indexed.home),
    )

    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    assert not set(modules) & set(HEAVY)
    if args[0] == "search" and "--help" not in args:
        assert "passport.txt" in done.stdout


def test_the_console_script_is_the_same_command():
    script = Path(sys.executable).with_name("gircse")
    if not script.exists():
        pytest.skip("the distribution is not installed in this environment")

    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert done.stdout.startswith("gircse-search ")


def test_a_closed_pipe_is_no_error(indexed):
    process = subprocess.Popen(
        [*GIRCSE, "search", "passport", "--mode", "lexical", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(indexed.home),
    )
    process.stdout.close()  # as `| head` does when it has enough
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 0
    assert b"Traceback" not in stderr
    assert b"Broken pipe" not in stderr


def test_a_full_disk_behind_stdout_is_an_error_without_traceback(indexed):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with full.open("w") as stdout:
        done = subprocess.run(
            [*GIRCSE, "search", "passport", "--mode", "lexical", "--format", "json"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environment(indexed.home),
        )

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_letters_that_the_terminal_lacks_are_no_error(indexed, notes):
    (notes / "bread.md").unlink()
    command = [*GIRCSE, "search", "dough", "--mode", "lexical"]
    for format in ("table", "json", "csv"):
        done = subprocess.run(
            [*command, "--format", format],
            capture_output=True,
            timeout=60,
            env=environment(indexed.home, PYTHONIOENCODING="ascii"),
        )
        assert done.returncode == 0, done.stderr
        done.stdout.decode("ascii")
        assert b"\\xb7" in done.stderr  # the dot between the times


def on_a_terminal(
    command: list[str], env: dict[str, str], *, columns: int = 100
) -> tuple[int, str, str]:
    """Run a command with stderr on a terminal and stdout in a pipe; return code, stdout, stderr."""
    import fcntl
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=follower, stdin=subprocess.DEVNULL, env=env
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the last process on the terminal has closed it
                break
            if not part:
                break
            shown += part
        stdout = process.stdout.read()
        code = process.wait(timeout=60)
    os.close(leader)
    return code, stdout.decode(), shown.decode("utf-8", "replace")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 160])
def test_progress_is_drawn_on_stderr_and_stdout_stays_pure(tmp_path, notes, columns):
    env = environment(tmp_path / "home", TERM="xterm-256color")

    code, stdout, shown = on_a_terminal(
        [*GIRCSE, "index", str(notes), "--format", "json"], env, columns=columns
    )

    assert code == 0, shown
    assert json.loads(stdout)["new"] == 3
    assert "3/3" in shown
    assert "Loading gircse-minilm" in shown or columns == 40
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= columns


@pytest.mark.slow
def test_ctrl_c_ends_a_run_in_good_order_and_the_next_one_completes_it(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for file in range(FILES):
        text = " ".join(f"word{file}x{position}" for position in range(30))
        (folder / f"{file:04}.txt").write_text(text, encoding="utf-8")
    home = tmp_path / "home"
    process = subprocess.Popen(
        [*GIRCSE, "index", str(folder), "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while (
        not any(home.glob("collections/default/content-1/vectors/*"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # to the children too, as a terminal does
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stderr.decode()
    assert b"Stopping after the current batch" in stderr
    assert b"Traceback" not in stderr
    first = json.loads(stdout)
    assert first["interrupted"]
    assert first["failed"] == 0
    assert 0 < first["new"] < FILES

    done = run(home, "index", folder, "--format", "json")
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout)
    assert first["new"] + second["new"] == FILES
    assert json.loads(run(home, "status", "--format", "json").stdout)["states"] == {"ready": FILES}


@pytest.mark.slow
def test_the_real_model_finds_what_shares_no_word(tmp_path, notes):
    home = tmp_path / "home"

    done = run(home, "index", notes)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 new, 0 updated, 0 unchanged, 0 removed, 0 failed\n"

    done = run(home, "search", "travel abroad documents", "--mode", "dense", "--format", "json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["hits"][0]["source"] == str(notes / "passport.txt")
    assert result["steps"] == 5
    assert "5 steps · load" in done.stderr

    done = run(home, "index", notes)
    assert done.stdout == "0 new, 0 updated, 3 unchanged, 0 removed, 0 failed\n"
    assert "Loading" not in done.stderr


@pytest.mark.slow
def test_the_doctor_finds_this_installation_well(tmp_path):
    done = run(tmp_path / "home", "doctor", "--format", "json")

    report = json.loads(done.stdout)
    assert [f for f in report["findings"] if f["level"] == "fail"] == []
    assert done.returncode == 0
