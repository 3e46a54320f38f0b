"""Where Qdrant is and how collections are laid out there: one section of the settings.

Holds no secrets: the API key is read from the environment or a file of the user's own, when a
connection is made, and is kept nowhere else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from indexer.errors import UsageError
from indexer.setting_rules import API_KEY_PATTERN, RULES

__all__ = ["API_KEY_VARIABLE", "QdrantSettings", "Quantization", "read_api_key"]

Quantization = Literal["none", "scalar", "binary"]

API_KEY_VARIABLE = "GIRCSE_QDRANT_API_KEY"
_MAX_KEY_BYTES = 4096


@dataclass(frozen=True, slots=True)
class QdrantSettings:
    """The section ``[qdrant]``.

    Args:
        url: address of a server, such as ``https://qdrant.example.org:6333``.
        path: folder of Qdrant's local mode, for trying things out; not together with ``url``.
        grpc: use gRPC, which is faster than REST for loading.
        grpc_port: port of gRPC.
        api_key_file: file that holds the API key, readable by its owner only; the environment
            variable ``GIRCSE_QDRANT_API_KEY`` wins over it.
        timeout_s: seconds that one request may take.
        shard_number: parts that a collection is cut into, over the machines of a cluster.
        replication_factor: machines that hold each part.
        write_consistency_factor: of these, how many confirm a write before it counts.
        quantization: what searches look at first: the vectors themselves, one byte per dimension,
            or one bit. What is found is scored again with the vectors themselves.
        oversampling: how many times more candidates a quantised search looks at.
        on_disk_vectors: leave vectors on the disk; memory then holds what is quantised, if it is.
        on_disk_payload: leave texts on the disk.
        hnsw_m: edges per point of the HNSW graph.
        hnsw_ef_construct: candidates looked at for each point while building it.
        hnsw_ef: candidates looked at for each query, at least.
        batch_size: points per request.
        upload_threads: requests on their way at once while loading.

    Raises:
        UsageError: a value is out of its range, or two contradict each other.
    """

    url: str | None = None
    path: Path | None = None
    grpc: bool = False
    grpc_port: int = 6334
    api_key_file: Path | None = None
    timeout_s: float = 60.0
    shard_number: int = 1
    replication_factor: int = 1
    write_consistency_factor: int = 1
    quantization: Quantization = "none"
    oversampling: float = 2.0
    on_disk_vectors: bool = False
    on_disk_payload: bool = True
    hnsw_m: int = 16
    hnsw_ef_construct: int = 128
    hnsw_ef: int = 128
    batch_size: int = 128
    upload_threads: int = 2

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            key, value = RULES[f"qdrant.{name}"], getattr(self, name)
            if value is not None and not key.accepts(value):
                raise UsageError(f"qdrant.{name} is {value!r}; expected {key.allowed}.")
        if self.url and self.path:
            raise UsageError(
                f"qdrant.url is {self.url!r} and qdrant.path is {str(self.path)!r}: a collection is"
                " on a server or in a folder; set one of them."
            )
        if self.write_consistency_factor > self.replication_factor:
            raise UsageError(
                f"qdrant.write_consistency_factor is {self.write_consistency_factor}, more than the"
                f" {self.replication_factor} machines of qdrant.replication_factor: no write could"
                " ever be confirmed. Lower the first or raise the second."
            )

    @property
    def is_local(self) -> bool:
        """Whether this is a folder, not a server."""
        return self.path is not None

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return str(self.path) if self.path is not None else (self.url or "nowhere")

    @property
    def is_insecure(self) -> bool:
        """Whether a key would travel in the clear beyond this machine."""
        address = urlsplit(self.url or "")
        return address.scheme == "http" and address.hostname not in (
            "localhost",
            "127.0.0.1",
            "::1",
        )


def read_api_key(
    settings: QdrantSettings, *, environ: Mapping[str, str] | None = None
) -> str | None:
    """Return the API key, or None where there is none.

    Args:
        settings: names the key's file, if there is one.
        environ: the environment; None is that of this process.

    Raises:
        UsageError: the file cannot be read or others may read it too, or what was found is no key.
    """
    environ = os.environ if environ is None else environ
    key, place = environ.get(API_KEY_VARIABLE, "").strip(), API_KEY_VARIABLE
    if not key and settings.api_key_file is not None:
        key, place = _private_text(settings.api_key_file), str(settings.api_key_file)
    if not key:
        return None
    if not API_KEY_PATTERN.fullmatch(key):
        raise UsageError(
            f"{place} holds {len(key)} characters that are no API key; expected visible ASCII"
            " characters on one line."
        )
    return key


def _private_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(
            f"qdrant.api_key_file is {path}, which could not be read: {error.strerror}. Make it, or"
            f" set {API_KEY_VARIABLE}."
        ) from error
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError(
            f"{path} holds an API key and may be read by others (its mode is"
            f" {stat.S_IMODE(status.st_mode):o}): run `chmod 600 {path}`, and change the key if"
            " others are about."
        )
    return content.decode("ascii", "replace").strip()
