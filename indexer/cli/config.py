"""``gircse config``: the settings in force and where each came from."""

from __future__ import annotations

from dataclasses import fields

import typer

from indexer import settings
from indexer.cli.options import FormatOption, epilog
from indexer.cli.session import session_of
from indexer.cli.terminal import write_json
from indexer.setting_rules import RULES
from indexer.settings import LoadedSettings

__all__ = ["app"]

app = typer.Typer(help="Show the settings in force.", no_args_is_help=True)


@app.command(
    name="show",
    epilog=epilog(
        "gircse config show",
        "GIRCSE_STEPS=4 gircse config show --format json",
        after=[
            "A file holds lines such as: collection = 'work'. Keys are the names shown, variables"
            " the same with GIRCSE_ before them, such as GIRCSE_COLLECTION.",
            "A project file (./gircse.toml) may come with somebody else's files: it cannot set"
            " home, device, jobs, timeout_s, memory_mb, api_key or read_only, nor a model that is"
            " not one of ours. An api_key is never shown.",
        ],
    ),
)
def show_config(context: typer.Context, format: FormatOption = "text") -> None:
    """Print each setting, its value and where that came from."""
    session = session_of(context)
    loaded = session.load()
    if format == "json":
        write_json(
            {
                "settings": _settings_as_dict(loaded),
                "user_file": str(settings.user_file()),
                "project_file": str(settings.project_file()),
            }
        )
        return
    session.terminal.columns(
        ("setting", "value", "from"),
        [
            (
                setting.name,
                _shown(setting.name, getattr(loaded.settings, setting.name)),
                loaded.origins[setting.name],
            )
            for setting in fields(loaded.settings)
        ],
    )
    for label, path in (
        ("Your file", settings.user_file()),
        ("This directory's", settings.project_file()),
    ):
        state = "" if path.exists() else " (there is none)"
        session.terminal.note(f"{label}: {path}{state}")


def _settings_as_dict(loaded: LoadedSettings) -> dict[str, object]:
    """Return each setting's value and origin for JSON."""
    values: dict[str, object] = {}
    for setting in fields(loaded.settings):
        value = _without_secret(setting.name, getattr(loaded.settings, setting.name))
        plain = value if isinstance(value, int | float | str) or value is None else str(value)
        values[setting.name] = {"value": plain, "origin": loaded.origins[setting.name]}
    return values


def _without_secret(name: str, value: object) -> object:
    return "(set)" if value is not None and RULES[name].is_secret else value


def _shown(name: str, value: object) -> str:
    """Return a setting's value for people."""
    if value is None:
        return "none" if RULES[name].is_secret else "automatic"
    return str(_without_secret(name, value))
