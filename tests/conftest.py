from __future__ import annotations

import os

# Before anything imports a hub client: tests reach no network, and no user's collections.
os.environ["HF_HUB_OFFLINE"] = "1"
for name in [name for name in os.environ if name.startswith("GIRCSE_")]:
    del os.environ[name]

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep every test and its child processes out of the user's own home of collections."""
    os.environ["GIRCSE_HOME"] = str(tmp_path_factory.mktemp("gircse-home"))
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
