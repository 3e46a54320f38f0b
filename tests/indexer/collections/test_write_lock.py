import json
import os
import subprocess
import sys
import threading

import pytest

from indexer.collections.write_lock import WriteLock
from indexer.errors import CollectionBusyError, StorageError

HOLDER = """
import sys
from pathlib import Path
from indexer.collections.write_lock import WriteLock
with WriteLock(Path(sys.argv[1]), name="docs").hold("indexing"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path, holder):
    with (
        pytest.raises(CollectionBusyError) as raised,
        WriteLock(tmp_path, name="docs").hold("indexing"),
    ):
        pytest.fail("two writers")
    message = str(raised.value)
    assert "'docs'" in message
    assert f"process {holder.pid} (indexing, since 20" in message
    assert "stop it" in message


def test_a_killed_process_gives_it_back(tmp_path, holder):
    holder.kill()
    holder.wait()
    with WriteLock(tmp_path, name="docs").hold("indexing"):
        note = json.loads((tmp_path / "write.lock.json").read_text())
        assert note["pid"] == os.getpid()


def test_a_thread_may_take_it_again_and_other_threads_may_not(tmp_path):
    lock = WriteLock(tmp_path, name="docs")
    refused = []

    def other():
        try:
            with lock.hold("deleting"):
                pass
        except CollectionBusyError as error:
            refused.append(str(error))

    def run_other():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with lock.hold("indexing"):
        with lock.hold("deleting"):
            run_other()
        run_other()
    run_other()
    assert len(refused) == 2
    assert "this process (indexing" in refused[0]


def test_an_error_inside_gives_it_back(tmp_path):
    lock = WriteLock(tmp_path, name="docs")
    with pytest.raises(RuntimeError), lock.hold("indexing"):
        raise RuntimeError
    assert not (tmp_path / "write.lock.json").exists()
    with WriteLock(tmp_path, name="docs").hold("indexing"):
        pass


def test_where_no_lock_file_can_be_made_the_message_says_so(tmp_path):
    (tmp_path / "write.lock").mkdir()
    with (
        pytest.raises(StorageError, match=r"write\.lock"),
        WriteLock(tmp_path, name="docs").hold("indexing"),
    ):
        pytest.fail("no lock")
