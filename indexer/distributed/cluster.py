"""Where Ray runs: on this machine alone, or on a cluster that is there already.

On this machine it is shut in as far as Ray allows: it listens on the loopback interface, answers
only to those who have this run's token, keeps its files in a private folder and reports to nobody.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from indexer.distributed.listening import exposed_addresses
from indexer.errors import IndexerError, UsageError

__all__ = ["ClusterError", "ClusterShape", "RayCluster", "check_installed"]

_FOLDER = "gircse-ray-"
_OBJECT_STORE_BYTES = 512 * 2**20
_START_S = 300  # a busy machine takes a minute
_LONGEST_TEMP = 40  # a socket's path may have 107 bytes, of which Ray takes some sixty

# Read when Ray is imported. The one with the odd name is what keeps Ray on the loopback interface:
# as of 2.60, `_node_ip_address="127.0.0.1"` alone is replaced by the machine's own address.
_ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    # One line says so; without it Ray's C++ half warns of each process, as of 2.60, for no reason.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else a call after the end starts another Ray, unguarded
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_start_wait_time_s": str(_START_S),
    "RAY_agent_register_timeout_ms": str(_START_S * 1000),
}
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}


class ClusterError(IndexerError):
    """Ray cannot be started or reached, or what runs there cannot do its work."""


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """What a cluster has.

    Args:
        cpus: of each machine.
        gpus: of all machines together.
    """

    cpus: tuple[int, ...]
    gpus: int


def check_installed() -> None:
    """Check that Ray is there.

    Raises:
        UsageError: it is not; the message says how to get it.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError(
            "--engine ray needs the package 'ray', which is not installed; "
            "run `pip install 'gircse-search[ray]'` (some 620 MB), or leave --engine out"
        )


class RayCluster:
    """Ray, from its start to its end; a context manager. ``start`` may be called by any thread.

    Args:
        address: of a cluster, such as ``"head:6379"`` or ``"auto"``; None starts Ray on this
            machine, for this run alone.
        cpus: how many processors Ray is to reckon with on this machine.

    Raises:
        UsageError: Ray is not installed, or the address is one of a Ray client.
    """

    def __init__(self, address: str | None = None, *, cpus: int = 2) -> None:
        check_installed()
        if address is not None and address.startswith("ray://"):
            raise UsageError(
                f"--ray-address {address} is that of a Ray client, through which data cannot be "
                "read; run the command on a machine of the cluster with --ray-address auto, or "
                "give the address of its head, such as head:6379"
            )
        self.address = address
        self._cpus = cpus
        self._folder: Path | None = None
        self._starting = threading.Lock()
        self._is_running = False
        self._environment: dict[str, str | None] = {}

    def start(self) -> str:
        """Start Ray or connect to it; return one line for the user about where it is.

        Raises:
            ClusterError: it does not start or cannot be reached.
        """
        with self._starting:
            if self._is_running:
                return ""
            wanted = _ALWAYS if self.address is not None else _ALWAYS | _ALONE | _token()
            self._environment = {name: os.environ.get(name) for name in wanted}
            os.environ.update(wanted)
            self._is_running = True  # from here on there may be something to end
            self._connect()
            return self._describe()

    def stop(self) -> None:
        """End Ray on this machine, or this run on the cluster; may be called twice."""
        with self._starting:
            if self._is_running:
                import ray

                with _kept_signals():
                    ray.shutdown()
            self._is_running = False
            self._restore()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def shape(self) -> ClusterShape:
        """Return what the cluster has."""
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return ClusterShape(
            cpus=tuple(int(node.get("CPU", 0)) for node in nodes),
            gpus=int(sum(node.get("GPU", 0) for node in nodes)),
        )

    def _connect(self) -> None:
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            with _kept_signals():
                if self.address is not None:
                    ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR)
                else:
                    self._start_alone()
        # Ray raises bare exceptions of many kinds, here and below
        except Exception as error:
            with suppress(Exception):
                ray.shutdown()
            self._is_running = False
            where = f"at {self.address}" if self.address else "on this machine"
            raise ClusterError(
                f"Ray {where} does not answer: {_first_line(error)}; "
                + (
                    "check the address, and that this machine has the cluster's version of Ray"
                    if self.address
                    else "see whether the machine is short of memory or very busy, and try again"
                )
            ) from error

    def _start_alone(self) -> None:
        import ray

        _sweep()
        folder = self._folder = _private_folder()
        ray.init(
            "local",
            num_cpus=self._cpus,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
            # Ray opens its folder to everybody: it is kept inside one that nobody else can enter
            _temp_dir=str(folder / "r"),
        )

    def _restore(self) -> None:
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._environment = {}

    def _describe(self) -> str:
        shape = self.shape()
        size = f"{sum(shape.cpus)} processors" + (f", {shape.gpus} GPUs" if shape.gpus else "")
        if self.address is not None:
            machines = "1 machine" if len(shape.cpus) == 1 else f"{len(shape.cpus)} machines"
            return (
                f"Ray at {self.address}: {machines}, {size}. Texts and vectors travel between them"
                " as the cluster is set up: encrypted only where RAY_USE_TLS is on."
            )
        exposed = exposed_addresses(os.getpid())
        if exposed is None:
            reach = "It was told to listen on the loopback interface; this system does not tell."
        elif exposed:
            reach = (
                f"It can be reached from other machines at {', '.join(exposed)}; only this run's"
                " token opens it."
            )
        else:
            reach = "It listens on the loopback interface alone, and wants this run's token."
        return f"Ray runs on this machine. {reach}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _token() -> dict[str, str]:
    return {"RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def _kept_signals() -> Iterator[None]:
    """Keep the handlers of signals, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def _place() -> Path:
    """Return where the folders of runs are: short, whatever the system's place is called."""
    place = tempfile.gettempdir()
    return Path(place if len(place) <= _LONGEST_TEMP else "/tmp")


def _private_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=_place()))


def _sweep() -> None:
    """Remove the folders of runs that were killed."""
    for folder in _place().glob(f"{_FOLDER}*"):
        process = folder.name.removeprefix(_FOLDER).partition("-")[0]
        with suppress(OSError):
            status = folder.lstat()
            is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            if is_own and process.isdigit() and not _is_alive(int(process)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:300] if lines else "") or type(error).__name__
