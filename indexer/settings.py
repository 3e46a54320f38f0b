"""Settings and where each value came from: flag > environment > project file > user file > default.

The user's own file is trusted. A project file (``./gircse.toml``) arrives with somebody's checkout,
so it may choose among what is already on this machine and nothing more: it cannot move the data
directory, load a model from a folder or hub, pick the device, or raise the limits of extraction.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Literal, cast

import platformdirs

from indexer.errors import UsageError
from indexer.searching.fusion import DenseWeight
from indexer.setting_rules import MAX_STEPS, RULES
from indexer.stores.qdrant.settings import API_KEY_VARIABLE, QdrantSettings

__all__ = [
    "MAX_STEPS",
    "LoadedSettings",
    "Settings",
    "defaults",
    "load",
    "project_file",
    "user_file",
]

Mode = Literal["hybrid", "dense", "lexical"]
FusionMethod = Literal["weighted", "rrf"]
Dtype = Literal["float32", "bfloat16", "float16"]

_MAX_FILE_BYTES = 64 * 1024
_QDRANT = "qdrant."


def _default_home() -> Path:
    return Path(platformdirs.user_data_dir("gircse", appauthor=False))


def _default_jobs() -> int:
    # One core stays with the model, which is what indexing waits for.
    return max(1, min(4, (os.cpu_count() or 2) - 1))


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line and the app work with when nothing else is said.

    Args:
        home: directory of all collections.
        collection: the collection used when none is named.
        model: model of new collections: a registered name, a local folder or a hub id.
        steps: refinement steps K, 0 to 64; None leaves the choice to the collection or the model.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; None chooses the best there is.
        dtype: ``float32``, ``bfloat16`` or ``float16``; None chooses by device and model.
        mode: legs of a search.
        fusion: how the legs of a hybrid search are put together.
        dense_weight: share of the dense leg in weighted fusion: 0 to 1, or ``auto`` to choose it
            for each query; None leaves the choice to the collection, which has ``auto`` at first.
        top: hits per search, 1 to 1000.
        jobs: processes that read files while indexing.
        timeout_s: seconds that reading one file may take.
        memory_mb: MiB of memory that reading one file may take.
        max_memory_mb: MiB that all of indexing but the model may take; None sets no limit beyond
            ``memory_mb``.
        batch_tokens: tokens that the model embeds at once; None chooses by device.
        api_key: what clients of the app's REST API have to send; None asks for none.
        read_only: the app searches and shows, and changes nothing.
        upload_mb: MiB that one file uploaded to the app may have; it passes through memory.
        uploads_mb: MiB that the copies of all uploaded files may take on the disk.
        qdrant: where Qdrant is, and how collections are laid out there.

    Raises:
        UsageError: a value is out of its range.
    """

    home: Path = field(default_factory=_default_home)
    collection: str = "default"
    model: str = "gircse-minilm"
    steps: int | None = None
    device: str | None = None
    dtype: Dtype | None = None
    mode: Mode = "hybrid"
    fusion: FusionMethod = "weighted"
    dense_weight: DenseWeight | None = None
    top: int = 10
    jobs: int = field(default_factory=_default_jobs)
    timeout_s: float = 120.0
    memory_mb: int = 1024
    max_memory_mb: int | None = None
    batch_tokens: int | None = None
    api_key: str | None = field(default=None, repr=False)
    read_only: bool = False
    upload_mb: int = 200
    uploads_mb: int = 20_480
    qdrant: QdrantSettings = field(default_factory=QdrantSettings)

    def __post_init__(self) -> None:
        for name, key in RULES.items():
            value = self.value(name)
            if value is not None and not key.accepts(value):
                raise UsageError(f"{name} is {key.shown(value)}; expected {key.allowed}.")

    def value(self, name: str) -> object:
        """Return a setting by its name in ``RULES``, such as ``top`` or ``qdrant.url``."""
        return cast(object, attrgetter(name)(self))


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings together with the origin of each value.

    Args:
        settings: the values in force.
        origins: for each name in ``RULES`` the flag, variable or file that decided it.
        unknown_variables: environment variables that start with ``GIRCSE_`` and mean nothing.
    """

    settings: Settings
    origins: Mapping[str, str]
    unknown_variables: tuple[str, ...] = ()

    def is_explicit(self, name: str) -> bool:
        """Return whether a flag or the environment, not a file, decided the setting ``name``."""
        return self.origins[name].startswith(("flag ", "environment "))


# Read elsewhere: GIRCSE_DEBUG by the command line, the key when a connection is made.
_OTHER_VARIABLES = frozenset({"GIRCSE_DEBUG", API_KEY_VARIABLE})


def user_file() -> Path:
    """Return the path of the user's own settings, which need not exist."""
    return Path(platformdirs.user_config_dir("gircse", appauthor=False)) / "config.toml"


def project_file() -> Path:
    """Return the path of the settings of the current directory, which need not exist."""
    try:
        return Path.cwd() / "gircse.toml"
    except FileNotFoundError:  # the working directory was removed
        return Path("gircse.toml")


def defaults() -> LoadedSettings:
    """Return the settings that hold where nothing is set at all."""
    return LoadedSettings(Settings(), dict.fromkeys(RULES, "default"))


def load(
    flags: Mapping[str, object] | None = None, *, environ: Mapping[str, str] | None = None
) -> LoadedSettings:
    """Return the settings in force.

    Args:
        flags: values given on the command line by name; None stands for "not given".
        environ: the environment; None is that of this process.

    Raises:
        UsageError: a file cannot be read, or it or the environment has an unknown key or a bad
            value; the message names the place, the key and what is allowed.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    origins = dict(defaults().origins)
    for layer in (
        _from_file(user_file(), trusted=True),
        _from_file(project_file(), trusted=False),
        _from_environment(environ),
        _from_flags(flags or {}),
    ):
        for name, (value, origin) in layer.items():
            values[name], origins[name] = value, origin
    known = {_variable(name) for name in RULES} | _OTHER_VARIABLES
    unknown = tuple(
        sorted(name for name in environ if name.startswith("GIRCSE_") and name not in known)
    )
    return LoadedSettings(_settings(values), origins, unknown)


def _settings(values: Mapping[str, object]) -> Settings:
    """Make settings of values by name, a section's in an object of their own."""
    plain = {name: value for name, value in values.items() if "." not in name}
    qdrant = {
        name.removeprefix(_QDRANT): value
        for name, value in values.items()
        if name.startswith(_QDRANT)
    }
    return Settings(**plain, qdrant=QdrantSettings(**qdrant))  # type: ignore[arg-type]


_Layer = dict[str, tuple[object, str]]


def _from_flags(flags: Mapping[str, object]) -> _Layer:
    layer: _Layer = {}
    for name, value in flags.items():
        if value is None:
            continue
        flag = "--" + name.replace("_", "-").replace(".", "-")
        if isinstance(value, str):
            value = _parsed(name, value, place=flag)
        layer[name] = (_checked(name, value, place=flag), f"flag {flag}")
    return layer


def _from_environment(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for name in RULES:
        variable = _variable(name)
        text = environ.get(variable, "").strip()
        if not text:  # set to nothing is the shell's way of "not set"
            continue
        value = _parsed(name, text, place=variable)
        layer[name] = (_checked(name, value, place=variable), f"environment {variable}")
    return layer


def _variable(name: str) -> str:
    return f"GIRCSE_{name.upper().replace('.', '_')}"


def _from_file(path: Path, *, trusted: bool) -> _Layer:
    layer: _Layer = {}
    for name, value in _entries(_read_toml(path)):
        key = RULES.get(name)
        if name == "qdrant.api_key":
            raise UsageError(
                f"{path} holds an API key, which has no place among settings: they are shown and"
                f" copied. Set {API_KEY_VARIABLE}, or put the key into a file of its own (mode"
                " 600) and name that as api_key_file."
            )
        if key is None:
            raise UsageError(f"{path}: unknown key {name!r}; there are: {', '.join(RULES)}.")
        place = f"{path}: {name}"
        is_switch = bool in key.kinds  # elsewhere true is no number
        if isinstance(value, bool) != is_switch or not isinstance(value, key.kinds):
            raise UsageError(f"{place} is {key.shown(value)}; expected {key.allowed}.")
        if not trusted:
            _refuse_untrusted(path, name, value)
        if key.is_path and not Path(cast(str, value)).expanduser().is_absolute():
            raise UsageError(f"{place} is {value!r}; expected {key.allowed}.")
        layer[name] = (_checked(name, value, place=place), str(path))
    return layer


def _entries(content: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield a file's names and values, those of a section under names with a dot."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{part}", inner) for part, inner in value.items())
        else:
            yield name, value


def _parsed(name: str, text: str, *, place: str) -> object:
    key = RULES[name]
    try:
        return key.parse(text)
    except ValueError:
        raise UsageError(f"{place} is {key.shown(text)}; expected {key.allowed}.") from None


def _checked(name: str, value: object, *, place: str) -> object:
    """Return ``value`` in the field's own type, or raise a UsageError that names ``place``."""
    key = RULES[name]
    if key.is_path:
        value = Path(str(value)).expanduser().absolute()
    if not key.accepts(value):
        raise UsageError(f"{place} is {key.shown(value)}; expected {key.allowed}.")
    return float(cast(float, value)) if key.parse is float else value


def _refuse_untrusted(path: Path, name: str, value: object) -> None:
    """Raise where a project file asks for more than choosing among what is on this machine."""
    if not RULES[name].in_project:
        raise UsageError(
            f"{path} sets {name} to {RULES[name].shown(value)}, which a project file may not: it"
            f" could have come with somebody else's files. Set it in {user_file()}, as"
            f" {_variable(name)}, or as a flag."
        )
    if name == "model" and value not in (shipped := _shipped_models()):
        raise UsageError(
            f"{path} sets model to {value!r}; a project file may only name a model that comes with"
            f" this program ({', '.join(shipped)}). If you trust it, pass --model {value!r}."
        )


def _shipped_models() -> list[str]:
    from indexer.embedder import list_models

    # Those with an owner before a slash are known by name, but come from a hub.
    return [name for name, _ in list_models() if "/" not in name]


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(
            f"{path} could not be read: {error.strerror}. Mend its permissions or remove it."
        ) from error
    if len(content) > _MAX_FILE_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_FILE_BYTES} bytes: not a settings file.")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}. Correct it or remove it.") from error
