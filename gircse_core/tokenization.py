"""Texts to padded token batches: limits, padding and batching by tokens.

Uses the ``tokenizers`` library on the model's own ``tokenizer.json``; knows no model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Encoding, Tokenizer

from gircse_core.config import ModelConfig
from gircse_core.errors import ModelIntegrityError
from gircse_core.integrity import read_json

__all__ = ["TextTokenizer", "TokenBatch", "lone_surrogate"]

logger = logging.getLogger(__name__)

_WIDTH_MULTIPLE = 16


def lone_surrogate(text: str) -> str | None:
    """Return the first half of a character in a text, which no tokenizer takes; None has none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[error.start]
    return None


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Padded prompts.

    Args:
        rows: position of each text among the texts given, length B.
        input_ids: (B, T) int64.
        attention_mask: (B, T) int64, 1 for tokens and 0 for padding.
    """

    rows: list[int]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor


class TextTokenizer:
    """Turns texts into token batches under one model's conventions.

    Args:
        folder: holds ``tokenizer.json`` and, for its special tokens, ``tokenizer_config.json``.
        config: the model's conventions.
        warn: whether cutting texts is worth a warning; in training it is a choice.

    Raises:
        ModelIntegrityError: the files are missing, damaged or name no usable special token.
    """

    def __init__(self, folder: Path, config: ModelConfig, *, warn: bool = True) -> None:
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise ModelIntegrityError(
                f"{folder} has no tokenizer.json. Save it there with "
                "AutoTokenizer.from_pretrained(...).save_pretrained(folder)."
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        # the tokenizers package raises plain Exception for every fault of the file
        except Exception as error:
            raise ModelIntegrityError(
                f"{file} cannot be read as a tokenizer: {error}. Fetch it again."
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._config = config
        self._warn = warn
        special = _special_tokens(folder)
        self._eos_id = self._id(special.get("eos_token"))
        # Decoder-only models rarely have a pad token; the published adapters pad with EOS.
        pad_id = self._eos_id if config.family == "causal" else self._id(special.get("pad_token"))
        if pad_id is None or (config.add_eos and self._eos_id is None):
            raise ModelIntegrityError(
                f"{folder}/tokenizer_config.json names no usable "
                f"{'eos_token' if config.family == 'causal' else 'pad_token'} "
                f"(found {special}). Add it there; it must be in the vocabulary."
            )
        self._pad_id = pad_id
        self.truncated = 0
        """How many texts have been cut at ``max_length`` so far."""

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the tokens that the tokenizer itself calls special."""
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(index for index, token in added.items() if token.special)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, cut at the model's limit with a counted warning."""
        encodings = self._tokenizer.encode_batch_fast(
            list(texts), add_special_tokens=self._config.add_special_tokens
        )
        rows, cut = [], 0
        for encoding in encodings:
            closed = _is_closed(encoding)
            row = self._close(list(encoding.ids), already_closed=closed)
            cut += len(row) > self._config.max_length
            rows.append(self._cut(row, closed=closed or self._config.add_eos))
        if cut:
            self.truncated += cut
            if self._warn:
                logger.warning(
                    "%d of %d texts are longer than the model's %d tokens and were cut there.",
                    cut,
                    len(texts),
                    self._config.max_length,
                )
        return rows

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special ones included, before any is cut."""
        encodings = self._tokenizer.encode_batch_fast(
            list(texts), add_special_tokens=self._config.add_special_tokens
        )
        return [
            len(self._close(list(encoding.ids), already_closed=_is_closed(encoding)))
            for encoding in encodings
        ]

    def pad(self, rows: Sequence[list[int]], positions: list[int]) -> TokenBatch:
        """Return one padded batch of token rows; ``positions`` says which texts they are."""
        width = max(map(len, rows))
        if len(rows) > 1:
            width = _padded_width(width)
        input_ids = torch.full((len(rows), width), self._pad_id, dtype=torch.int64)  # (B, T)
        attention_mask = torch.zeros_like(input_ids)
        for index, row in enumerate(rows):
            left = width - len(row) if self._config.padding_side == "left" else 0
            input_ids[index, left : left + len(row)] = torch.tensor(row)
            attention_mask[index, left : left + len(row)] = 1
        return TokenBatch(positions, input_ids, attention_mask)

    def batches(self, token_rows: Sequence[list[int]], *, max_tokens: int) -> Iterator[TokenBatch]:
        """Yield batches of similar length, longest first, of at most ``max_tokens`` with padding.

        Longest first: if memory is short, it shows at once and not at the end of a long run.
        """
        order = sorted(range(len(token_rows)), key=lambda index: -len(token_rows[index]))
        start = 0
        while start < len(order):
            width = _padded_width(len(token_rows[order[start]]))
            stop = start + max(1, max_tokens // width)
            positions = order[start:stop]
            yield self.pad([token_rows[index] for index in positions], positions)
            start = stop

    def decode_token(self, token_id: int) -> str:
        """Return the word piece with that id as it stands in a text.

        A blank before it says that it begins a word where the vocabulary tells; a piece inside a
        word may begin with ``##``, as WordPiece spells it.
        """
        return str(self._tokenizer.decode([token_id], skip_special_tokens=False))

    def _close(self, ids: list[int], *, already_closed: bool) -> list[int]:
        if self._config.add_eos and not already_closed and self._eos_id is not None:
            ids.append(self._eos_id)
        return ids

    def _cut(self, ids: list[int], *, closed: bool) -> list[int]:
        limit = self._config.max_length
        if len(ids) <= limit:
            return ids
        # What closes a sequence ([SEP], EOS) stays its last token when the text before it is cut.
        return ids[: limit - 1] + ids[-1:] if closed else ids[:limit]

    def _id(self, token: str | None) -> int | None:
        return None if token is None else self._tokenizer.token_to_id(token)


def _is_closed(encoding: Encoding) -> bool:
    mask = encoding.special_tokens_mask
    return bool(mask) and mask[-1] == 1


def _padded_width(length: int) -> int:
    # Few different shapes: math libraries keep compiled kernels for each one they have met.
    return -(-length // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE


def _special_tokens(folder: Path) -> dict[str, str]:
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return {}
    values = read_json(file)
    names = ("eos_token", "pad_token")
    found = {name: values.get(name) for name in names}
    # Older files spell a token as an object with its content.
    plain = {
        name: value.get("content") if isinstance(value, dict) else value
        for name, value in found.items()
    }
    return {name: value for name, value in plain.items() if isinstance(value, str)}
