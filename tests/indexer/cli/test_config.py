"""``gircse config show``: each value with its origin."""

from __future__ import annotations

from pathlib import Path


def test_values_are_shown_with_their_origins(gircse, tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text("top = 25\n", encoding="utf-8")
    Path("gircse.toml").write_text("collection = 'work'\n", encoding="utf-8")
    monkeypatch.setenv("GIRCSE_STEPS", "4")

    shown = gircse.json("--home", tmp_path / "other", "config", "show")["settings"]

    assert shown["home"] == {"value": str(tmp_path / "other"), "origin": "flag --home"}
    assert shown["steps"] == {"value": 4, "origin": "environment GIRCSE_STEPS"}
    assert shown["collection"] == {"value": "work", "origin": str(Path("gircse.toml").absolute())}
    assert shown["top"] == {"value": 25, "origin": str(tmp_path / "config.toml")}
    assert shown["mode"] == {"value": "hybrid", "origin": "default"}


def test_the_text_names_every_setting_and_the_files(gircse, tmp_path):
    result = gircse("config", "show")

    assert [line.split()[0] for line in result.stdout.splitlines()][:3] == [
        "setting",
        "home",
        "collection",
    ]
    assert str(tmp_path / "config.toml") in result.stderr


def test_a_bad_project_file_stops_every_command_with_its_name(gircse):
    Path("gircse.toml").write_text("home = '/elsewhere'\n", encoding="utf-8")

    for command in (["config", "show"], ["search", "x"], ["collections", "list"], ["status"]):
        result = gircse(*command)
        assert result.exit_code == 2
        assert "gircse.toml sets home" in result.stderr


def test_a_key_is_said_to_be_set_and_not_what_it_is(gircse, monkeypatch):
    monkeypatch.setenv("GIRCSE_API_KEY", "a-key-that-nobody-guesses")

    shown = gircse.json("config", "show")["settings"]
    text = gircse("config", "show").stdout

    assert shown["api_key"] == {"value": "(set)", "origin": "environment GIRCSE_API_KEY"}
    assert "nobody" not in text
