"""What each setting may be, how it is read from text, and who may set it. Knows no values.

A name with a dot is of a section: ``qdrant.url`` is ``url`` under ``[qdrant]`` in a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from indexer.collections.name import check_name
from indexer.errors import UsageError
from indexer.searching.fusion import AUTOMATIC

__all__ = ["API_KEY_PATTERN", "MAX_STEPS", "RULES", "Rule"]

MAX_STEPS = 64
API_KEY_PATTERN = re.compile(r"[!-~]{1,4096}")
"""What a header can carry as it is: keys that others made."""
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
# What a header can carry as it is; shorter ones can be guessed.
_API_KEY = re.compile(r"[!-~]{16,512}")
_SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Rule:
    """What one setting may be.

    Args:
        parse: makes a value of a variable's text; raises ValueError where that is none.
        kinds: types that a file may give.
        accepts: whether a value of such a type is allowed.
        allowed: what is, in words.
        in_project: whether a project file may set it.
        is_secret: whether its value is kept out of messages and lists.
    """

    parse: Callable[[str], object]
    kinds: tuple[type, ...]
    accepts: Callable[[object], bool]
    allowed: str
    in_project: bool = True
    is_secret: bool = False

    @property
    def is_path(self) -> bool:
        """Whether it is a place in the file system."""
        return Path in self.kinds

    def shown(self, value: object) -> str:
        """Return a value as a message may have it."""
        return f"'***' ({len(str(value))} characters)" if self.is_secret else repr(value)


def _choice(*names: str, in_project: bool = True) -> Rule:
    return Rule(str, (str,), lambda value: value in names, "one of " + ", ".join(names), in_project)


def _whole(low: int, high: int, *, unit: str = "", in_project: bool = True) -> Rule:
    return Rule(
        int,
        (int,),
        lambda value: low <= cast(int, value) <= high,
        f"a whole number{unit} from {low} to {high}",
        in_project,
    )


def _real(low: float, high: float, *, unit: str = "", in_project: bool = True) -> Rule:
    return Rule(
        float,
        (int, float),
        lambda value: low <= cast(float, value) <= high,  # false for NaN
        f"a number{unit} from {low:g} to {high:g}",
        in_project,
    )


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise ValueError(text)
    return _SWITCH[text.lower()]


def _weight(text: str) -> object:
    return text if text == AUTOMATIC else float(text)


def _is_weight(value: object) -> bool:
    if isinstance(value, str):
        return value == AUTOMATIC
    return 0.0 <= cast(float, value) <= 1.0  # false for NaN


def _pattern(pattern: re.Pattern[str], allowed: str, *, in_project: bool = True) -> Rule:
    return Rule(
        str, (str,), lambda value: bool(pattern.fullmatch(cast(str, value))), allowed, in_project
    )


def _path(allowed: str) -> Rule:
    return Rule(
        lambda text: Path(text),
        (str, Path),
        lambda value: "\0" not in str(value),
        f"{allowed}, absolute or starting with ~",
        in_project=False,
    )


def _flag() -> Rule:
    return Rule(
        _switch,
        (bool,),
        lambda value: isinstance(value, bool),
        "true or false",
        in_project=False,
    )


def _is_server_address(value: object) -> bool:
    try:
        address = urlsplit(cast(str, value))
        port = address.port
    except ValueError:
        return False
    # Names and passwords in an address would be shown and kept with it.
    return (
        address.scheme in ("http", "https")
        and bool(address.hostname)
        and port != 0
        and not (address.username or address.password or address.query or address.fragment)
    )


def _is_collection_name(value: object) -> bool:
    try:
        check_name(cast(str, value))
    except UsageError:
        return False
    return True


RULES: dict[str, Rule] = {
    "home": _path("a directory"),
    "collection": Rule(
        str,
        (str,),
        _is_collection_name,
        "1 to 64 of the characters A-Z a-z 0-9 . _ - with no dot at either end",
    ),
    "model": Rule(
        str,
        (str,),
        lambda value: bool(cast(str, value).strip()) and "\0" not in cast(str, value),
        "a registered name, a folder or a hub id (see: gircse model list)",
    ),
    "steps": _whole(0, MAX_STEPS),
    "device": _pattern(_DEVICE, "cpu, cuda, cuda:N or mps", in_project=False),
    "dtype": _choice("float32", "bfloat16", "float16"),
    "mode": _choice("hybrid", "dense", "lexical"),
    "fusion": _choice("weighted", "rrf"),
    "dense_weight": Rule(
        _weight,
        (int, float, str),
        _is_weight,
        "auto, or a number from 0 to 1",
    ),
    "top": _whole(1, 1000),
    "jobs": _whole(1, 256, in_project=False),
    "timeout_s": _real(1, 86_400, unit=" of seconds", in_project=False),
    "memory_mb": _whole(256, 1_048_576, unit=" of MiB", in_project=False),
    "max_memory_mb": _whole(1, 16_777_216, unit=" of MiB", in_project=False),
    "batch_tokens": _whole(1, 16_777_216, in_project=False),
    "api_key": Rule(
        str,
        (str,),
        lambda value: bool(_API_KEY.fullmatch(cast(str, value))),
        "16 to 512 visible ASCII characters, such as `openssl rand -hex 32` prints",
        in_project=False,
        is_secret=True,
    ),
    "read_only": _flag(),
    "upload_mb": _whole(1, 65_536, unit=" of MiB", in_project=False),
    "uploads_mb": _whole(1, 1_073_741_824, unit=" of MiB", in_project=False),
    "qdrant.url": Rule(
        str,
        (str,),
        _is_server_address,
        "an address such as https://host:6333, without user, password or query",
        in_project=False,
    ),
    "qdrant.path": _path("a folder"),
    "qdrant.grpc": _flag(),
    "qdrant.grpc_port": _whole(1, 65_535, in_project=False),
    "qdrant.api_key_file": _path("a file"),
    "qdrant.timeout_s": _real(1, 3600, unit=" of seconds", in_project=False),
    "qdrant.shard_number": _whole(1, 4096, in_project=False),
    "qdrant.replication_factor": _whole(1, 64, in_project=False),
    "qdrant.write_consistency_factor": _whole(1, 64, in_project=False),
    "qdrant.quantization": _choice("none", "scalar", "binary", in_project=False),
    "qdrant.oversampling": _real(1, 100, in_project=False),
    "qdrant.on_disk_vectors": _flag(),
    "qdrant.on_disk_payload": _flag(),
    "qdrant.hnsw_m": _whole(4, 256, in_project=False),
    "qdrant.hnsw_ef_construct": _whole(8, 4096, in_project=False),
    "qdrant.hnsw_ef": _whole(8, 65_536, in_project=False),
    "qdrant.batch_size": _whole(1, 10_000, in_project=False),
    "qdrant.upload_threads": _whole(1, 64, in_project=False),
}
