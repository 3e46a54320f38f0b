"""The public entry of training: configuration and files of pairs in, a model folder out."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from gircse_core.registry import resolve
from gircse_core.training.batches import BatchPlan
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.curves import CURVES_FILE, draw_curves
from gircse_core.training.export import base_name
from gircse_core.training.loop import TrainingLoop
from gircse_core.training.model_card import CARD_FILE, model_card, notes_of
from gircse_core.training.pairs import PairSet, read_pairs
from gircse_core.training.progress import TrainingProgress, TrainingReport
from gircse_core.training.run_folder import RunFolder, RunRecord
from gircse_core.training.teacher import LexicalTeacher, TokenStatistics
from gircse_core.training.trainees import Trainee, load_trainee

__all__ = ["train"]

_PACKAGES = ("gircse-search", "torch", "transformers", "tokenizers", "peft", "accelerate")
_TOKENISED_AT_ONCE = 4096
_SAMPLED = 2048  # passages whose mean is the centre of the anchors


def train(
    config: TrainingConfig,
    pair_files: Sequence[Path],
    out: Path,
    *,
    resume: bool = False,
    command: str | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingReport:
    """Train a model and write it to a folder that loads like any other model.

    Args:
        config: the run.
        pair_files: ``.jsonl`` or ``.jsonl.gz``; see ``pairs``.
        out: folder for the model, its card and curves, and ``run/`` with the checkpoints.
        resume: go on from the latest checkpoint in ``out``, if there is one.
        command: what the card shows as the way to repeat the run.
        on_progress: called after every update, in the main process.
        should_stop: asked after every update; True ends the run after a checkpoint.

    Raises:
        TrainingInputError: data, options or folder cannot be used.
        TrainingError: the loss is no number.
        ModelNotFoundError: there is no such model to start from.
        ModelIntegrityError: its files are damaged.
    """
    # accelerate connects processes without GPUs only when it is told that it has none.
    processes = PartialState(cpu=config.device == "cpu" or not torch.cuda.is_available())
    spec = resolve(config.model, offline=True)
    chosen = config.resolved(spec.config.family)
    pairs = read_pairs(pair_files, leave_out=chosen.leave_out)
    batches = chosen.updates * chosen.accumulation * processes.num_processes
    plan = BatchPlan(pairs, chosen, batches=batches)
    record = RunRecord(chosen, pairs.files, command, _versions(), processes.num_processes)
    folder = RunFolder(out)
    # Dropout and initial weights are seeded here; the caller's random numbers stay the caller's.
    with torch.random.fork_rng():
        trainee = load_trainee(spec, chosen, device=_device(chosen, processes))
        lexical = _with_statistics(trainee, pairs, chosen)
        if processes.is_main_process:
            folder.start(record, resume=resume)
        processes.wait_for_everyone()
        loop = TrainingLoop(trainee, plan, chosen, folder, lexical=lexical)
        loop.resume()
        finished = loop.run(on_progress=on_progress, should_stop=should_stop)
    report = _report(folder, record, loop, finished=finished)
    if finished and processes.is_main_process:
        trainee.export(out, loop.exported(), half=False)
        draw_curves(folder.history(), out / CURVES_FILE)
        start = base_name(spec) if spec.adapter is None else spec.name
        _write_card(out / CARD_FILE, record, report, trainee, start=start)
    processes.wait_for_everyone()
    return report


def _device(config: TrainingConfig, processes: PartialState) -> str | None:
    """Return the device of this process; None lets the placement choose."""
    if config.device is None and processes.num_processes > 1:
        return str(processes.device)
    return config.device


def _with_statistics(
    trainee: Trainee, pairs: PairSet, config: TrainingConfig
) -> LexicalTeacher | None:
    """Give model and teacher what they are to know of the texts; return the lexical teacher."""
    lexical = config.teacher == "hybrid" and config.distillation_weight > 0
    if not (lexical or config.head_words or config.anchor_weight or config.reading):
        return None
    statistics = TokenStatistics.count(
        _token_rows(trainee, pairs),
        vocabulary_size=trainee.vocabulary_size,
        ignored=trainee.special_tokens,
    )
    if config.head_words:
        shares = statistics.frequencies / statistics.documents
        trainee.restrict_head(shares, words=config.head_words)
    if config.reading or config.anchor_weight:
        sample = _sample(trainee, pairs)
        if config.reading:
            trainee.start_reading(statistics, sample, config)
        if config.anchor_weight:
            trainee.set_anchor(statistics, sample, config)
    return LexicalTeacher(statistics) if lexical else None


def _sample(trainee: Trainee, pairs: PairSet) -> list[list[int]]:
    """Return token rows of passages from all sources alike."""
    texts = []
    for found in pairs.sources.values():
        every = max(len(found) // (_SAMPLED // len(pairs.sources) or 1), 1)
        texts += [pair.passage for pair in found[::every]]
    return trainee.tokens(texts)


def _token_rows(trainee: Trainee, pairs: PairSet) -> Iterable[list[int]]:
    part: list[str] = []
    for text in pairs.texts():
        part.append(text)
        if len(part) == _TOKENISED_AT_ONCE:
            yield from trainee.tokens(part)
            part = []
    if part:
        yield from trainee.tokens(part)


def _write_card(
    file: Path, record: RunRecord, report: TrainingReport, trainee: Trainee, *, start: str
) -> None:
    card = model_card(
        record,
        report,
        trainee.config,
        start=start,
        trained=sum(tensor.numel() for tensor in trainee.tensors.values()),
        notes=notes_of(file.read_text(encoding="utf-8")) if file.is_file() else None,
    )
    RunFolder.write(file, card)


def _report(
    folder: RunFolder, record: RunRecord, loop: TrainingLoop, *, finished: bool
) -> TrainingReport:
    losses, total = mean_of_the_end(folder.history())
    return TrainingReport(
        folder=folder.folder,
        config=record.config,
        updates=loop.update,
        finished=finished,
        seconds=loop.seconds,
        examples=loop.examples,
        step_losses=losses,
        loss=total,
        data=record.data,
    )


def mean_of_the_end(history: Sequence[dict[str, Any]]) -> tuple[dict[int, float], float]:
    """Return the losses by step count and the total, averaged over the last tenth of the updates.

    One batch says little: sources differ more from each other than a run changes.
    """
    end = history[-max(len(history) // 10, 1) :]
    if not end:
        return {}, float("nan")
    names = list(end[-1]["step_losses"])
    steps = {int(name): sum(line["step_losses"][name] for line in end) / len(end) for name in names}
    return steps, sum(line["loss"] for line in end) / len(end)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "not installed"
    return found
