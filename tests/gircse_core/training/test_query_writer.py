"""Writing and weighing queries with a tiny random language model: mechanics, not quality."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gircse_core.errors import TrainingInputError, UnsupportedModelError
from gircse_core.training.query_writer import QueryWriter, WritingConfig
from tests.gircse_core.models import CONFIGS, write_causal, write_encoder

CONFIG = WritingConfig(max_new_tokens=8, batch_size=2)
PROMPTS = ["A bridge of steel:", "How long do beans need to soak, and why?", "cat"]
BLANKS = ["Nothing:"] * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("qwen2"), CONFIGS["qwen2"])


@pytest.fixture(scope="module")
def writer(folder: Path) -> QueryWriter:
    return QueryWriter(str(folder), CONFIG, device="cpu")


def test_every_prompt_has_one_answer_and_the_seed_decides_it(folder: Path, writer: QueryWriter):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()

    answers = list(writer.write(PROMPTS, blank_prompts=BLANKS))

    assert len(answers) == 3
    assert len(set(answers)) == 3
    assert torch.equal(torch.random.get_rng_state(), before)
    assert list(writer.write(PROMPTS, blank_prompts=BLANKS)) == answers
    other = QueryWriter(str(folder), replace(CONFIG, seed=1), device="cpu")
    assert list(other.write(PROMPTS, blank_prompts=BLANKS)) != answers


def test_contrast_changes_what_is_written(folder: Path):
    plain = QueryWriter(str(folder), replace(CONFIG, contrast=1.0), device="cpu")
    strong = QueryWriter(str(folder), replace(CONFIG, contrast=3.0), device="cpu")

    assert list(plain.write(PROMPTS, blank_prompts=BLANKS)) != list(
        strong.write(PROMPTS, blank_prompts=BLANKS)
    )
    # Against a prompt without the passage only: where both are the same, nothing is held down.
    assert list(plain.write(PROMPTS, blank_prompts=PROMPTS)) == list(
        strong.write(PROMPTS, blank_prompts=PROMPTS)
    )


def test_likelihoods_are_those_of_the_model(folder: Path, writer: QueryWriter):
    answers = ["river", "beans and water overnight", "dog"]

    found = writer.likelihoods(PROMPTS, answers)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    model = model.to(next(writer._model.parameters()).dtype)
    for prompt, answer, value in zip(PROMPTS, answers, found, strict=True):
        head, tail = tokenizer(prompt).input_ids, tokenizer(f" {answer}").input_ids
        with torch.inference_mode():
            logits = model(torch.tensor([head + tail])).logits[0].float()
        own = logits[len(head) - 1 : -1].log_softmax(-1)
        expected = own[torch.arange(len(tail)), torch.tensor(tail)].mean()
        assert value == pytest.approx(float(expected), abs=0.05)
    assert all(math.isfinite(value) and value < 0 for value in found)


def test_a_chat_format_is_used_where_there_is_one(folder: Path, tmp_path: Path):
    chat = tmp_path / "chat"
    write_causal(chat, CONFIGS["qwen2"])
    values = json.loads((chat / "tokenizer_config.json").read_text())
    values["chat_template"] = (
        "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"
        "{% if add_generation_prompt %}A:{% endif %}"
    )
    (chat / "tokenizer_config.json").write_text(json.dumps(values))

    talking = QueryWriter(str(chat), CONFIG, device="cpu")

    assert talking._tokenizer.decode(talking._prompt_ids("cat")) == "<s>cat</s>A:"


def test_what_cannot_write_is_refused(tmp_path: Path, writer: QueryWriter):
    with pytest.raises(UnsupportedModelError, match="is an encoder and cannot write"):
        QueryWriter(str(write_encoder(tmp_path)))
    with pytest.raises(TrainingInputError, match=r"A prompt has \d+ tokens; 1024 are allowed"):
        list(writer.write(["word " * 2000], blank_prompts=["x"]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"contrast": 0.5}, "contrast is 0.5; it must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, float], message: str):
    with pytest.raises(TrainingInputError, match=message):
        WritingConfig(**values)
