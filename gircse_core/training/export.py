"""Writing a trained model as the folder that the registry resolves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from gircse_core.config import CONFIG_FILE, ModelConfig
from gircse_core.hub import is_hub_id
from gircse_core.integrity import file_sha256, read_json
from gircse_core.registry import DEFAULT_MODEL, ModelSpec

__all__ = ["ADAPTER_FILE", "base_name", "write_prefix_model"]

ADAPTER_FILE = "adapter.safetensors"
_DEFAULT_BASE = "sentence-transformers/all-MiniLM-L6-v2"


def write_prefix_model(
    folder: Path,
    config: ModelConfig,
    start: ModelSpec,
    adapter: Mapping[str, torch.Tensor],
    half: bool,
) -> None:
    """Write ``gircse.json`` and ``adapter.safetensors`` into an existing folder.

    Args:
        folder: where.
        config: conventions.
        start: the model whose base it shares.
        adapter: tensors as the backbone takes them.
        half: store float16, which halves the file; at load it is widened again.
    """
    kind = torch.float16 if half else torch.float32
    stored = {
        name: tensor.detach().to("cpu", kind if tensor.is_floating_point() else None).contiguous()
        for name, tensor in adapter.items()
    }
    file = folder / ADAPTER_FILE
    partial = file.with_suffix(".partial")
    save_file(stored, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # safetensors leaves it to its owner alone
    digest = file_sha256(partial)
    weights_sha256 = start.base_sha256 or file_sha256(start.base / "model.safetensors")
    values = asdict(config) | {
        "base": {"name": base_name(start), "sha256": weights_sha256},
        "adapter_sha256": digest,
    }
    described = (folder / CONFIG_FILE).with_suffix(".partial")
    described.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(file)
    described.replace(folder / CONFIG_FILE)


def base_name(spec: ModelSpec) -> str:
    """Return the hub id of a model's base, or its folder where it has none."""
    if spec.name == DEFAULT_MODEL:
        return _DEFAULT_BASE
    settings = spec.adapter.parent / CONFIG_FILE if spec.adapter is not None else None
    if settings is not None and settings.is_file():
        named = read_json(settings).get("base", {}).get("name")
        if isinstance(named, str) and is_hub_id(named) and not (settings.parent / named).is_dir():
            return named
    if is_hub_id(spec.name) and not Path(spec.name).is_dir():
        return spec.name
    return str(spec.base)
