"""``gircse reindex --background``: the same command once more, with its output in a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.cli.session import Session
    from indexer.collections.library import Collection
    from indexer.reindexing.request import ReindexRequest
    from indexer.settings import LoadedSettings

__all__ = ["detach", "request_flags"]


def detach(
    session: Session,
    loaded: LoadedSettings,
    target: Collection,
    request: ReindexRequest,
    devices: tuple[str, ...],
) -> None:
    """Rebuild a collection in a process of its own, which outlives this terminal.

    Args:
        session: of the command.
        loaded: the settings in force.
        target: the collection.
        request: what shall change; refused here and now where it cannot be.
        devices: those of ``--devices``; none where it was not given.
    """
    from indexer.cli.background import start_detached
    from indexer.reindexing.rebuild_note import read_note
    from indexer.reindexing.run import plan_reindex

    plan_reindex(target, request)
    log = loaded.settings.home / "logs" / f"reindex-{target.name}.log"
    arguments = ["--home", str(loaded.settings.home), "reindex", target.name]
    arguments += [*request_flags(request), "--log", str(log)]
    if devices:
        arguments += ["--devices", ",".join(devices)]
    elif loaded.settings.device is not None:
        arguments += ["--device", loaded.settings.device]
    if loaded.settings.batch_tokens is not None:
        arguments += ["--batch-tokens", str(loaded.settings.batch_tokens)]

    def has_begun(pid: int) -> bool:
        note = read_note(target.directory)
        return note is not None and note.pid == pid

    pid = start_detached(arguments, log=log, has_begun=has_begun)
    if pid is None:
        session.terminal.line(f"{target.name!r} is rebuilt already; {log} tells how it went.")
        return
    session.terminal.line(f"Process {pid} rebuilds {target.name!r}; its output goes to {log}.")
    session.terminal.note(
        f"How far it is: gircse status -c {target.name}. Give it up: gircse reindex {target.name}"
        " --cancel"
    )


def request_flags(request: ReindexRequest) -> Sequence[str]:
    """Return the flags of this command that ask for the same."""
    wish = request.wish
    flags = {
        "--index": wish.index,
        "--store": wish.store,
        "--budget-ms": wish.budget_ms,
        "--budget-mb": wish.budget_mb,
        "--model": request.model,
        "--steps": request.steps,
        "--chunk-tokens": request.max_tokens,
        "--chunk-overlap": request.overlap_tokens,
        "--chunk-context": request.context_tokens,
        "--vectors": request.vectors,
    }
    return [f"{flag}={value}" for flag, value in flags.items() if value is not None]
