"""The training loop: batches to gradients to updates, on one device or several processes.

Each process works on batches of its own (negatives are those of its batch); gradients are averaged
over processes and accumulated batches, so that 2 processes with 1 batch each do what 1 process does
with 2. accelerate starts and connects the processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from accelerate import PartialState
from accelerate.utils import reduce

from gircse_core.errors import TrainingError
from gircse_core.prompts import document_prompt, query_prompt
from gircse_core.training.anchor import anchor_loss, progress_shares
from gircse_core.training.batch_loss import BatchLoss, batch_loss
from gircse_core.training.batches import Batch, BatchPlan
from gircse_core.training.checkpoints import (
    Checkpoint,
    latest_checkpoint,
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    save_checkpoint,
)
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.progress import TrainingProgress
from gircse_core.training.run_folder import RunFolder
from gircse_core.training.schedule import learning_rate
from gircse_core.training.teacher import LexicalTeacher, hybrid_scores
from gircse_core.training.trainees import Trainee

__all__ = ["TrainingLoop"]

_RATE_MEMORY = 0.9  # of the examples per second, from update to update


class TrainingLoop:
    """One run on one process.

    Args:
        trainee: the model.
        plan: the batches.
        config: resolved.
        folder: where checkpoints and history go; written by the main process alone.
        lexical: the lexical part of a hybrid teacher.
    """

    def __init__(
        self,
        trainee: Trainee,
        plan: BatchPlan,
        config: TrainingConfig,
        folder: RunFolder,
        *,
        lexical: LexicalTeacher | None = None,
    ) -> None:
        self._trainee = trainee
        self._plan = plan
        self._config = config
        self._folder = folder
        self._lexical = lexical
        self._processes = PartialState()
        self._optimiser = _optimiser(trainee, config)
        self.average = {name: t.detach().clone() for name, t in trainee.tensors.items()}
        self.update = 0
        self.examples = 0
        self.seconds = 0.0
        self._speed = 0.0

    def resume(self) -> None:
        """Go on from the latest checkpoint, or begin where there is none."""
        found = latest_checkpoint(self._folder.checkpoints)
        if found is not None:
            self._restore(load_checkpoint(found))
        if self._processes.is_main_process:
            self._folder.rewind(self.update)
        self._processes.wait_for_everyone()

    def run(
        self,
        *,
        on_progress: Callable[[TrainingProgress], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> bool:
        """Do the remaining updates; return whether all are done.

        Raises:
            TrainingError: a loss or gradient is no number.
        """
        while self.update < self._config.updates:
            progress = self._one_update()
            if self._processes.is_main_process:
                self._folder.append(progress)
                if on_progress is not None:
                    on_progress(progress)
            stop = self._any(should_stop is not None and should_stop())
            last = self.update == self._config.updates
            if stop or last or self.update % self._config.checkpoint_every == 0:
                self._checkpoint()
            if stop:
                break
        return self.update >= self._config.updates

    def exported(self) -> dict[str, torch.Tensor]:
        """Return the weights that the finished model has: their average where one is kept."""
        if self._config.average_decay:
            return self.average
        return {name: tensor.detach() for name, tensor in self._trainee.tensors.items()}

    def _one_update(self) -> TrainingProgress:
        started = time.perf_counter()
        rate = learning_rate(self._config, self.update)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        self._optimiser.zero_grad()
        losses, batch = self._accumulate()
        total = self._mean(torch.stack([loss.total.detach() for loss in losses]).mean())
        if not math.isfinite(float(total)):
            raise self._no_number("loss", float(total), batch, rate)
        norm = self._step_size()
        if not math.isfinite(norm):
            raise self._no_number("gradient's norm", norm, batch, rate)
        self._optimiser.step()
        self.update += 1
        self._move_average()
        self.examples += len(batch.queries) * self._config.accumulation * self._world
        seconds = time.perf_counter() - started
        self.seconds += seconds
        return self._progress(losses, batch, total=float(total), rate=rate, norm=norm, last=seconds)

    def _no_number(self, what: str, value: float, batch: Batch, rate: float) -> TrainingError:
        return TrainingError(
            f"The {what} of update {self.update + 1} is {value}; its last batch came from "
            f"{batch.source!r}. Lower the learning rate (now {rate:.3g}), or train in float32."
        )

    def _accumulate(self) -> tuple[list[BatchLoss], Batch]:
        """Add the gradients of this process's batches."""
        losses = []
        per_update = self._config.accumulation * self._world
        for turn in range(self._config.accumulation):
            number = self.update * per_update + turn * self._world + self._processes.process_index
            batch = self._plan.batch(number)
            # A seed for each batch: dropout does not depend on what came before.
            torch.manual_seed(self._config.seed * 1_000_003 + number)
            loss = self._loss(batch)
            (loss.total / self._config.accumulation).backward()
            losses.append(loss)
        self._average_gradients()
        return losses, batch

    def _loss(self, batch: Batch) -> BatchLoss:
        model = self._trainee.config
        prompts = [query_prompt(model, text) for text in batch.queries]
        prompts += [document_prompt(model, text) for text in batch.passages]
        rows = self._trainee.tokens(prompts)
        steps, count, anchors = self._config.steps, len(batch.queries), None
        if self._config.anchor_weight:
            embeddings, anchors = self._trainee.encode_anchored(rows, steps=steps, queries=count)
        else:
            embeddings = self._trainee.encode(rows, steps=steps, queries=count)  # (S, B + P, D)
        has_zero = model.min_steps == 0
        teacher = None
        if self._config.distillation_weight:
            base = (
                embeddings[0].detach()
                if has_zero
                else self._trainee.base_embeddings(rows, steps=self._config.steps)
            )
            teacher = self._teacher(base, rows, count)
        loss = batch_loss(embeddings, batch, self._config, has_zero=has_zero, teacher=teacher)
        if anchors is None:
            return loss
        shares = progress_shares(model.decay, steps=steps, full=self._config.anchor_steps)
        anchor = anchor_loss(embeddings, anchors, shares.to(embeddings.device))
        return loss.with_anchor(anchor, weight=self._config.anchor_weight)

    def _teacher(self, base: torch.Tensor, rows: list[list[int]], count: int) -> torch.Tensor:
        cosines = base[:count] @ base[count:].T  # (B, P)
        if self._lexical is None:
            return cosines
        lexical = self._lexical.scores(rows[:count], rows[count:]).to(cosines)
        weight = self._config.teacher_dense_weight
        return hybrid_scores(cosines, lexical, dense_weight=weight)

    def _average_gradients(self) -> None:
        if self._world == 1:
            return
        tensors = list(self._trainee.tensors.values())
        for tensor in tensors:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        joined = torch.cat([tensor.grad.flatten() for tensor in tensors if tensor.grad is not None])
        joined = self._mean(joined)
        for tensor, part in zip(
            tensors, joined.split([tensor.numel() for tensor in tensors]), strict=True
        ):
            tensor.grad = part.view_as(tensor).clone()

    def _step_size(self) -> float:
        """Return the gradient's norm, and clip it."""
        tensors = list(self._trainee.tensors.values())
        limit = self._config.clip_norm or math.inf
        return float(torch.nn.utils.clip_grad_norm_(tensors, limit))

    def _move_average(self) -> None:
        if not self._config.average_decay:
            return
        # Young averages forget faster, or they would be made of the start.
        decay = min(self._config.average_decay, (1 + self.update) / (10 + self.update))
        for name, tensor in self._trainee.tensors.items():
            self.average[name].lerp_(tensor.detach(), 1 - decay)

    def _progress(
        self,
        losses: list[BatchLoss],
        batch: Batch,
        *,
        total: float,
        rate: float,
        norm: float,
        last: float,
    ) -> TrainingProgress:
        steps = self._mean(torch.stack([loss.steps for loss in losses]).mean(dim=0))
        first = self._config.steps + 1 - len(steps)
        pairs = len(batch.queries) * self._config.accumulation * self._world
        memory = _RATE_MEMORY if self._speed else 0.0
        self._speed = memory * self._speed + (1 - memory) * pairs / last
        remaining = (self._config.updates - self.update) * pairs
        return TrainingProgress(
            update=self.update,
            updates=self._config.updates,
            source=batch.source,
            step_losses=dict(enumerate(steps.tolist(), start=first)),
            loss=total,
            terms={
                name: float(torch.stack([loss.terms[name] for loss in losses]).mean())
                for name in losses[0].terms
            },
            learning_rate=rate,
            gradient_norm=norm,
            examples=self.examples,
            examples_per_second=self._speed,
            seconds=self.seconds,
            seconds_left=remaining / self._speed,
        )

    def _checkpoint(self) -> None:
        if self._processes.is_main_process:
            tensors = self._trainee.tensors
            checkpoint = Checkpoint(
                update=self.update,
                examples=self.examples,
                seconds=self.seconds,
                weights=dict(tensors),
                fixed=self._trainee.fixed,
                average=self.average if self._config.average_decay else {},
                optimiser=optimiser_tensors(self._optimiser, tensors),
            )
            save_checkpoint(
                self._folder.checkpoints, checkpoint, keep=self._config.keep_checkpoints
            )
        self._processes.wait_for_everyone()

    def _restore(self, checkpoint: Checkpoint) -> None:
        with torch.no_grad():
            for name, tensor in self._trainee.tensors.items():
                tensor.copy_(checkpoint.weights[name])
        self._trainee.fixed.update(checkpoint.fixed)
        for name, tensor in checkpoint.average.items():
            self.average[name].copy_(tensor)
        restore_optimiser(self._optimiser, self._trainee.tensors, checkpoint.optimiser)
        self.update = checkpoint.update
        self.examples = checkpoint.examples
        self.seconds = checkpoint.seconds

    @property
    def _world(self) -> int:
        return int(self._processes.num_processes)

    def _mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return the mean over the processes."""
        return value if self._world == 1 else reduce(value, "mean")

    def _any(self, flag: bool) -> bool:
        """Whether any process says so; all get the same answer."""
        if self._world == 1:
            return flag
        value = torch.tensor(float(flag), device=self._processes.device)
        return bool(float(reduce(value, "sum")) > 0)


def _optimiser(trainee: Trainee, config: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW with one group for low-rank adapters and one for the rest."""
    adapters = [t for name, t in trainee.tensors.items() if ".lora_" in name]
    others = [t for name, t in trainee.tensors.items() if ".lora_" not in name]
    groups = [
        {"params": tensors, "factor": factor}
        for tensors, factor in ((adapters, 1.0), (others, config.other_rate))
        if tensors
    ]
    return torch.optim.AdamW(groups, lr=1.0, weight_decay=config.weight_decay)
