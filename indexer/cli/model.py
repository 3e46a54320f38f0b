"""``gircse model``: what models there are, whether they are intact, and how to ship one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.options import FormatOption, QuietOption, epilog
from indexer.cli.session import session_of
from indexer.cli.terminal import one_line, write_json
from indexer.wording import size_text

__all__ = ["app"]

app = typer.Typer(help="List, inspect, fetch and verify models.", no_args_is_help=True)

ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A registered name, a local folder or a hub id.",
        show_default="the one of the settings",
    ),
]


@app.command(name="list", epilog=epilog("gircse model list", "gircse model list --format json"))
def list_registered(context: typer.Context, format: FormatOption = "text") -> None:
    """List the models that can be used by name; folders and hub ids work as well."""
    from indexer.embedder import list_models

    session = session_of(context)
    models = list_models()
    if format == "json":
        write_json([{"name": name, "about": about} for name, about in models])
        return
    width = max(len(name) for name, _ in models)
    for name, about in models:
        session.terminal.line((f"{name:<{width}}", "bold"), "  ", about)


@app.command(
    name="info", epilog=epilog("gircse model info", "gircse model info ./my-model --format json")
)
def info(
    context: typer.Context, model: ModelArgument = None, format: FormatOption = "text"
) -> None:
    """Show a model's steps, width and fingerprint without loading it."""
    from indexer.embedder import model_info

    session = session_of(context)
    found = model_info(session.load({"model": model}).settings.model)
    facts: dict[str, object] = {
        "name": found.name,
        "dim": found.dim,
        "min_steps": found.min_steps,
        "max_steps": found.max_steps,
        "default_steps": found.default_steps,
        "tokenizer_file": str(found.tokenizer_file),
    }
    fingerprint = found.fingerprint()
    if format == "json":
        write_json({**facts, "fingerprint": fingerprint})
        return
    lines = {**facts, **{f"fingerprint.{name}": value for name, value in fingerprint.items()}}
    width = max(len(label) for label in lines)
    for label, value in lines.items():
        session.terminal.line((f"{label:<{width}}  ", "dim"), one_line(str(value)))
    if found.max_steps == 0:
        session.terminal.note(
            f"{found.name} has no refinement steps: it answers as its base encoder does."
        )


@app.command(
    name="pull",
    epilog=epilog(
        "gircse model pull gircse-minilm",
        "gircse model pull Roytsai27/GIRCSE-QWEN7B",
        after=["Indexing and searching never download; this command does."],
    ),
)
def pull(context: typer.Context, model: ModelArgument = None, quiet: QuietOption = False) -> None:
    """Fetch a model's files, so that it can be used without a connection."""
    from indexer.embedder import pull_model

    session = session_of(context)
    if quiet:
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read when the hub's client is imported
    found = pull_model(session.load({"model": model}).settings.model)
    session.terminal.line(f"{found.name} is on this machine.")


@app.command(name="verify", epilog=epilog("gircse model verify", "gircse model verify ./my-model"))
def verify(
    context: typer.Context, model: ModelArgument = None, format: FormatOption = "text"
) -> None:
    """Check that a model's files are there and unchanged; exit code 1 when one is not."""
    from indexer.embedder import verify_model

    session = session_of(context)
    name = session.load({"model": model}).settings.model
    checks = verify_model(name)
    intact = all(check.ok for check in checks)
    if format == "json":
        write_json(
            {
                "model": name,
                "ok": intact,
                "checks": [
                    {"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks
                ],
            }
        )
    else:
        for check in checks:
            mark = ("ok  ", "green") if check.ok else ("fail", "bold red")
            session.terminal.line(mark, f"  {check.name}: {one_line(check.detail)}")
    if not intact:
        session.terminal.error(
            f"the model {name} is not usable. Fetch it: gircse model pull {name}"
        )
        raise typer.Exit(ExitCode.ERROR)


@app.command(
    name="export",
    epilog=epilog(
        "gircse model export my-model shipped",
        "gircse search beans --model ./shipped --collection trained",
        after=["A run that has not ended yet is exported as of its latest checkpoint."],
    ),
)
def export(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that gircse train wrote.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the model.")],
    full: Annotated[
        bool, typer.Option("--full", help="Store float32; half the size is nearly as exact.")
    ] = False,
) -> None:
    """Write a trained model as a small folder to ship: adapter, settings with checksums, card."""
    from indexer.training import export_model

    session = session_of(context)
    for file in export_model(run, out, half=not full):
        session.terminal.line(f"{one_line(str(file))}  ", (size_text(file.stat().st_size), "dim"))
