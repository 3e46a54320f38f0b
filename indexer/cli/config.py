"""``gircse config``: the settings in force and where each came from."""

from __future__ import annotations

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
            " home, device, jobs, timeout_s, memory_mb, max_memory_mb, batch_tokens, api_key,"
            " read_only, upload_mb, uploads_mb or anything of qdrant,"
            " nor a model that is not one of ours. An api_key is never shown.",
            "upload_mb is the most that one file uploaded to gircse app may have, uploads_mb what"
            " the copies of all of them may take; a file that is added by its path is not copied.",
            "Names with a dot are of a section: qdrant.url is the line url = '…' under \\[qdrant],"
            " or GIRCSE_QDRANT_URL. The key of a Qdrant server is in GIRCSE_QDRANT_API_KEY, or in"
            " the file that qdrant.api_key_file names.",
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
                name,
                _shown(name, loaded.settings.value(name)),
                loaded.origins[name],
            )
            for name in RULES
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
    for name in RULES:
        value = _without_secret(name, loaded.settings.value(name))
        plain = value if isinstance(value, int | float | str) or value is None else str(value)
        values[name] = {"value": plain, "origin": loaded.origins[name]}
    return values


def _without_secret(name: str, value: object) -> object:
    return "(set)" if value is not None and RULES[name].is_secret else value


def _shown(name: str, value: object) -> str:
    """Return a setting's value for people."""
    if value is None:
        return "none" if RULES[name].is_secret or "." in name else "automatic"
    return str(_without_secret(name, value))
