from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gircse_core.backbones.causal import CausalBackbone
from gircse_core.backbones.prefix_encoder import PrefixEncoder
from gircse_core.registry import resolve
from tests.gircse_core import models


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny random models: four causal ones and a prefix encoder with an adapter."""
    root = tmp_path_factory.mktemp("checkpoints")
    folders = {
        name: models.write_causal(root / name, config) for name, config in models.CONFIGS.items()
    }
    base = models.write_encoder(root / "encoder")
    adapter = models.random_adapter(layers=3, hidden=32, inner=64)
    folders["prefix"] = models.write_prefix_model(root / "prefix", base, adapter)
    folders["minilm_adapted"] = models.write_prefix_model(
        root / "minilm_adapted",
        models.MINILM,
        models.random_adapter(layers=6, hidden=384, inner=1536, size=0.03),
    )
    return folders


@pytest.fixture
def backbone(request: pytest.FixtureRequest, checkpoints: dict[str, Path]):
    """A backbone in float32, by the indirect parameter's name."""
    spec = resolve(str(checkpoints[request.param]))
    family = PrefixEncoder if spec.config.family == "prefix_encoder" else CausalBackbone
    return family.load(
        spec.config,
        spec.base,
        adapter=spec.adapter,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
