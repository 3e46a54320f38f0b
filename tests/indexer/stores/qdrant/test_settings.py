"""The section ``[qdrant]``: what it may hold, who may set it, and where the key comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indexer import settings
from indexer.cli import app
from indexer.errors import UsageError
from indexer.settings import load
from indexer.stores.qdrant.settings import API_KEY_VARIABLE, QdrantSettings, read_api_key

KEY = "a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config.toml")


def test_a_section_of_the_file_and_variables_of_its_names() -> None:
    Path("config.toml").write_text(
        "top = 3\n[qdrant]\nurl = 'http://localhost:6333'\nhnsw_m = 32\non_disk_vectors = true\n"
    )

    loaded = load(environ={"GIRCSE_QDRANT_HNSW_M": "24", "GIRCSE_QDRANT_GRPC": "yes"})

    assert loaded.settings.top == 3
    assert loaded.settings.qdrant == QdrantSettings(
        url="http://localhost:6333", hnsw_m=24, on_disk_vectors=True, grpc=True
    )
    assert loaded.origins["qdrant.hnsw_m"] == "environment GIRCSE_QDRANT_HNSW_M"
    assert loaded.origins["qdrant.url"].endswith("config.toml")
    assert loaded.origins["qdrant.timeout_s"] == "default"
    flagged = load({"qdrant.url": "https://example.org"}, environ={})
    assert flagged.settings.qdrant.url == "https://example.org"
    assert flagged.origins["qdrant.url"] == "flag --qdrant-url"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": "qdrant.example.org"}, r"qdrant\.url is 'qdrant\.example\.org'; expected an addr"),
        ({"url": "ftp://host"}, "expected an address"),
        ({"url": "http://me:secret@host:6333"}, "without user, password"),
        ({"url": "http://host:99999"}, "expected an address"),
        ({"url": "http://host", "path": Path("/x")}, "set one of them"),
        ({"replication_factor": 2, "write_consistency_factor": 3}, "no write could ever"),
        ({"quantization": "product"}, "one of none, scalar, binary"),
        ({"oversampling": float("nan")}, "a number from 1 to 100"),
        ({"timeout_s": 0.0}, "seconds from 1"),
        ({"batch_size": 0}, "whole number from 1"),
    ],
)
def test_a_value_that_cannot_work_is_refused(values, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        QdrantSettings(**values)


def test_a_project_file_may_set_nothing_of_it() -> None:
    Path("gircse.toml").write_text("[qdrant]\nurl = 'https://elsewhere.example.org'\n")

    with pytest.raises(UsageError, match=r"sets qdrant\.url .* may not.*GIRCSE_QDRANT_URL"):
        load(environ={})


def test_a_key_has_no_place_in_a_settings_file() -> None:
    Path("config.toml").write_text(f"[qdrant]\napi_key = '{KEY}'\n")

    with pytest.raises(UsageError, match=API_KEY_VARIABLE) as caught:
        load(environ={})
    assert KEY not in str(caught.value)


def test_the_key_comes_from_the_environment_or_a_file_of_the_owner_alone(tmp_path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    chosen = QdrantSettings(url="https://host", api_key_file=file)

    assert read_api_key(QdrantSettings(url="https://host"), environ={}) is None
    assert read_api_key(chosen, environ={}) == KEY
    assert read_api_key(chosen, environ={API_KEY_VARIABLE: "other"}) == "other"
    assert KEY not in repr(chosen)

    file.chmod(0o640)
    with pytest.raises(UsageError, match=r"chmod 600") as caught:
        read_api_key(chosen, environ={})
    assert KEY not in str(caught.value)
    with pytest.raises(UsageError, match=r"could not be read.*No such file"):
        read_api_key(QdrantSettings(api_key_file=tmp_path / "none"), environ={})
    with pytest.raises(UsageError, match=r"9 characters that are no API key") as caught:
        read_api_key(chosen, environ={API_KEY_VARIABLE: "two words"})
    assert "two words" not in str(caught.value)


def test_config_show_has_the_section_and_never_the_key(monkeypatch) -> None:
    monkeypatch.setenv(API_KEY_VARIABLE, KEY)
    monkeypatch.setenv("GIRCSE_QDRANT_URL", "https://qdrant.example.org:6333")

    text = CliRunner().invoke(app, ["config", "show"])
    plain = CliRunner().invoke(app, ["config", "show", "--format", "json"])
    checked = CliRunner().invoke(app, ["doctor"])

    assert text.exit_code == plain.exit_code == 0
    assert json.loads(plain.stdout)["settings"]["qdrant.url"] == {
        "value": "https://qdrant.example.org:6333",
        "origin": "environment GIRCSE_QDRANT_URL",
    }
    assert "qdrant.replication_factor" in text.stdout
    for output in (text.output, plain.output, checked.output):
        assert KEY not in output
    assert "nothing reads it" not in checked.output


def test_a_key_over_plain_http_is_known_to_be_insecure() -> None:
    assert QdrantSettings(url="http://10.0.0.7:6333").is_insecure
    assert not QdrantSettings(url="http://127.0.0.1:6333").is_insecure
    assert not QdrantSettings(url="https://10.0.0.7:6333").is_insecure
