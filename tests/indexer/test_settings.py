"""Precedence, origins, and what a file from somebody else's hands may not do."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from indexer import settings
from indexer.errors import UsageError
from indexer.settings import Settings, load, project_file, user_file


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Keep user and project files in directories of the test's own."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config" / "config.toml")
    (tmp_path / "config").mkdir()
    return tmp_path


def write_user(text: str) -> Path:
    path = settings.user_file()
    path.write_text(text, encoding="utf-8")
    return path


def write_project(text: str) -> Path:
    path = project_file()
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_need_no_file_and_no_variable():
    loaded = load(environ={})

    assert loaded.settings.collection == "default"
    assert loaded.settings.model == "gircse-minilm"
    assert loaded.settings.steps is None
    assert loaded.settings.home.is_absolute()
    assert set(loaded.origins.values()) == {"default"}


def test_each_layer_overrides_the_ones_below():
    user = write_user("top = 1\nsteps = 1\nmode = 'dense'\ndense_weight = 0.1")
    project = write_project("top = 2\nsteps = 2\nmode = 'lexical'")
    environ = {"GIRCSE_TOP": "3", "GIRCSE_STEPS": "3"}

    loaded = load({"top": 4, "mode": None}, environ=environ)

    assert (loaded.settings.top, loaded.origins["top"]) == (4, "flag --top")
    assert (loaded.settings.steps, loaded.origins["steps"]) == (3, "environment GIRCSE_STEPS")
    assert (loaded.settings.mode, loaded.origins["mode"]) == ("lexical", str(project))
    assert (loaded.settings.dense_weight, loaded.origins["dense_weight"]) == (0.1, str(user))
    assert loaded.origins["fusion"] == "default"


def test_only_flags_and_environment_count_as_explicit():
    write_user("model = 'other'")

    assert not load(environ={}).is_explicit("model")
    assert load(environ={"GIRCSE_MODEL": "a"}).is_explicit("model")
    assert load({"model": "a"}, environ={}).is_explicit("model")


def test_an_empty_variable_is_not_set():
    assert load(environ={"GIRCSE_STEPS": " "}).settings.steps is None


def test_unknown_variables_are_reported_and_known_ones_are_not():
    environ = {"GIRCSE_COLLECTON": "x", "GIRCSE_DEBUG": "1", "GIRCSE_TOP": "3", "HOME": "/"}

    assert load(environ=environ).unknown_variables == ("GIRCSE_COLLECTON",)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("GIRCSE_STEPS", "many", "a whole number from 0 to 64"),
        ("GIRCSE_STEPS", "65", "a whole number from 0 to 64"),
        ("GIRCSE_STEPS", "-1", "a whole number from 0 to 64"),
        ("GIRCSE_DENSE_WEIGHT", "nan", "a number from 0 to 1"),
        ("GIRCSE_MODE", "fuzzy", "one of hybrid, dense, lexical"),
        ("GIRCSE_DEVICE", "gpu", "cpu, cuda, cuda:N or mps"),
        ("GIRCSE_COLLECTION", "../other", "1 to 64 of the characters"),
        ("GIRCSE_TIMEOUT_S", "0", "a number of seconds from 1"),
        ("GIRCSE_MEMORY_MB", "1.5", "a whole number of MiB from 256"),
    ],
)
def test_a_bad_variable_is_named_with_its_value_and_what_is_allowed(variable, value, allowed):
    with pytest.raises(UsageError) as caught:
        load(environ={variable: value})

    assert variable in str(caught.value)
    assert repr(value) in str(caught.value) or value in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize("text", ["steps = '3'", "steps = true", "top = 2.5", "mode = 1"])
def test_a_value_of_another_type_is_refused_with_file_and_key(text):
    path = write_user(text)

    with pytest.raises(UsageError, match="expected") as caught:
        load(environ={})

    assert f"{path}: {text.split()[0]}" in str(caught.value)


def test_an_unknown_key_is_refused_with_the_known_ones():
    path = write_user("colection = 'x'")

    with pytest.raises(UsageError) as caught:
        load(environ={})

    assert f"{path}: unknown key 'colection'" in str(caught.value)
    assert "collection" in str(caught.value)


@pytest.mark.parametrize("content", [b"top = ", b"\xff\xfe", b"a = " + b"[" * 30_000])
def test_a_file_that_is_no_toml_is_refused_by_name(content):
    path = settings.user_file()
    path.write_bytes(content)

    with pytest.raises(UsageError, match="is not valid TOML") as caught:
        load(environ={})

    assert str(path) in str(caught.value)


def test_a_huge_file_and_a_directory_are_refused():
    project_file().write_bytes(b"#" * 100_000)
    with pytest.raises(UsageError, match="not a settings file"):
        load(environ={})

    project_file().unlink()
    project_file().mkdir()
    with pytest.raises(UsageError, match="could not be read"):
        load(environ={})


@pytest.mark.parametrize(
    "line",
    [
        "home = '/elsewhere'",
        "device = 'cuda'",
        "jobs = 64",
        "timeout_s = 86400",
        "memory_mb = 100000",
    ],
)
def test_a_project_file_may_not_reach_beyond_choosing(line):
    path = write_project(line)

    with pytest.raises(UsageError, match="a project file may not") as caught:
        load(environ={})

    assert str(path) in str(caught.value)
    assert f"GIRCSE_{line.split()[0].upper()}" in str(caught.value)


@pytest.mark.parametrize("model", ["./weights", "someone/their-model", "/abs/model", "unknown"])
def test_a_project_file_may_not_bring_its_own_model(model):
    write_project(f"model = '{model}'")

    with pytest.raises(UsageError, match="only name a model that comes with this program"):
        load(environ={})


def test_a_project_file_may_name_a_model_that_is_shipped():
    write_project("model = 'gircse-minilm'\ncollection = 'here'")

    loaded = load(environ={})

    assert loaded.settings.collection == "here"
    assert loaded.origins["model"] == str(project_file())


def test_the_user_file_may_set_everything():
    write_user("home = '~/texts'\nmodel = 'someone/their-model'\njobs = 2\ndevice = 'cuda:1'")

    loaded = load(environ={})

    assert loaded.settings.home == Path("~/texts").expanduser()
    assert loaded.settings.model == "someone/their-model"


def test_home_in_a_file_must_not_depend_on_where_the_command_runs():
    write_user("home = 'texts'")

    with pytest.raises(UsageError, match="absolute or starting with ~"):
        load(environ={})


def test_home_as_a_flag_or_variable_is_relative_to_the_working_directory():
    assert load({"home": Path("texts")}, environ={}).settings.home == Path.cwd() / "texts"
    assert load(environ={"GIRCSE_HOME": "texts"}).settings.home == Path.cwd() / "texts"


def test_settings_check_themselves():
    with pytest.raises(UsageError, match=r"dense_weight is nan; expected auto, or a number"):
        Settings(dense_weight=math.nan)
    with pytest.raises(UsageError, match="steps is 99"):
        Settings(steps=99)


def test_the_user_file_is_where_the_platform_keeps_such_files():
    assert user_file().name == "config.toml"
    assert "gircse" in user_file().parts


def test_a_working_directory_that_was_removed_has_no_project_file(places):
    (places / "project").rmdir()

    assert load(environ={}).settings.collection == "default"


@pytest.mark.parametrize("text", ["1", "true", "YES"])
def test_a_switch_is_turned_on_by_the_usual_words(text):
    assert load(environ={"GIRCSE_READ_ONLY": text}).settings.read_only is True


def test_a_switch_takes_no_number_from_a_file_and_true_is_none():
    write_user("read_only = 1")
    with pytest.raises(UsageError, match="true or false"):
        load(environ={})
    write_user("read_only = true")
    assert load(environ={}).settings.read_only is True


@pytest.mark.parametrize("key", ["short", "with a blank in it", "ünicode-is-no-header"])
def test_a_key_that_is_refused_is_not_repeated(key):
    with pytest.raises(UsageError, match="16 to 512 visible ASCII") as caught:
        load(environ={"GIRCSE_API_KEY": key})
    assert key not in str(caught.value)
    write_project(f"api_key = '{key}'")
    with pytest.raises(UsageError, match="a project file may not") as caught:
        load(environ={})
    assert key not in str(caught.value)


def test_a_key_is_in_no_log_of_the_settings():
    loaded = load(environ={"GIRCSE_API_KEY": "0123456789abcdef"})
    assert loaded.settings.api_key == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(loaded)
