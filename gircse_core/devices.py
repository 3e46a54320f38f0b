"""Which device and number type a model runs in, and why."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gircse_core.config import Family
from gircse_core.errors import GircseError

__all__ = ["Placement", "place"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model runs.

    Args:
        device: torch's device.
        query_dtype: type of the weights for queries, of which there is one at a time.
        document_dtype: type of the weights for bulk embedding.
        reason: one line for people.
    """

    device: torch.device
    query_dtype: torch.dtype
    document_dtype: torch.dtype
    reason: str

    @property
    def batch_tokens(self) -> int:
        """Tokens per batch, padding included, that keep the device busy.

        A CPU is fastest while a layer's activations stay in its caches: 2,048 tokens ran up to
        twice as fast as 16,384.
        """
        return 2_048 if self.device.type == "cpu" else 32_768


def place(family: Family, *, device: str | None = None, dtype: str | None = None) -> Placement:
    """Choose device and types.

    Args:
        family: the backbone's family; a small encoder can afford its weights in two types.
        device: torch's name for one, or None for CUDA, then Apple's MPS, then the CPU.
        dtype: ``float32``, ``bfloat16`` or ``float16``, or None for what is fast and exact enough.

    Raises:
        GircseError: the device or type does not exist here.
    """
    chosen, why = _device(device)
    if dtype is not None:
        if dtype not in _DTYPES:
            raise GircseError(f"Unknown dtype {dtype!r}; choose one of {sorted(_DTYPES)}.")
        return Placement(chosen, _DTYPES[dtype], _DTYPES[dtype], f"{why}; {dtype} as asked")
    if chosen.type == "cuda":
        fast = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return Placement(chosen, fast, fast, f"{why}; {_name(fast)}, the GPU's fast type")
    if chosen.type == "cpu" and _cpu_has_bf16():
        if family == "prefix_encoder":
            # One row at a time is faster in float32, batches are several times faster in bfloat16.
            types = (torch.float32, torch.bfloat16)
            reason = "this CPU multiplies bfloat16 natively; queries in float32"
            return Placement(chosen, *types, f"{why}; documents in bfloat16: {reason}")
        reason = "bfloat16: this CPU multiplies it natively"
        return Placement(chosen, torch.bfloat16, torch.bfloat16, f"{why}; {reason}")
    return Placement(chosen, torch.float32, torch.float32, f"{why}; float32")


def _device(asked: str | None) -> tuple[torch.device, str]:
    if asked is None:
        if torch.cuda.is_available():
            return torch.device("cuda"), f"CUDA GPU {torch.cuda.get_device_name()}"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "Apple GPU (MPS)"
        return torch.device("cpu"), "CPU: torch sees no GPU"
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).splitlines()[0].partition(". ")[0].rstrip(".")  # torch adds a long list
        raise GircseError(
            f"The device {asked!r} cannot be used: {cause}. "
            "Leave the device out to have one chosen."
        ) from error
    return device, f"{asked} as asked"


def _cpu_has_bf16() -> bool:
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
