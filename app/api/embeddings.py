"""Embeddings and models in OpenAI's form, so that existing tools can use the model.

Beyond that form: ``steps`` and ``input_type`` in the request, ``steps`` and ``truncated`` in the
answer, and what each model defines in the list of models.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from app.api.errors import ApiError
from app.api.operations import Answer, Asked, NothingAsked, Operation
from app.embedding import InputType, embed
from app.offered_models import is_offered, offered_models
from app.services import Services
from indexer.embedder import ModelInfo, model_info
from indexer.setting_rules import MAX_STEPS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OPERATIONS", "check_offered"]

_MAX_TEXTS = 2048  # as at OpenAI


def _no_tokens(value: object) -> object:
    items = value if isinstance(value, list) else []
    if any(isinstance(item, int | list) for item in items):
        raise ValueError(
            "these are token ids, which mean nothing without the vocabulary they are from; send "
            "the texts themselves (in LangChain: check_embedding_ctx_length=False)"
        )
    return value


class EmbeddingsAsked(Asked):
    """Texts to embed."""

    input: Annotated[
        str | Annotated[list[str], Field(min_length=1, max_length=_MAX_TEXTS)],
        BeforeValidator(_no_tokens),
    ] = Field(description="A text, or a list of texts.")
    model: str | None = Field(
        None, description="One of GET /v1/models; None takes the one of the settings."
    )
    steps: Annotated[int, Field(ge=0, le=MAX_STEPS)] | None = Field(
        None, description="Refinement steps; None takes the model's own."
    )
    input_type: InputType = Field(
        "document", description="Queries get the model's prompt for queries, if it has one."
    )
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64 holds little-endian float32 numbers."
    )
    dimensions: int | None = Field(None, description="The model's own width, or None.")
    user: str | None = Field(None, description="Taken and not used.")


class EmbeddingAnswer(Answer):
    """The vector of one text, of length 1."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class UsageAnswer(Answer):
    """Tokens that the model read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(Answer):
    """The vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingAnswer]
    model: str
    usage: UsageAnswer
    steps: int = Field(description="Refinement steps that each text got.")
    truncated: int = Field(description="Texts that were cut at what the model reads at most.")


class ModelAsked(Asked):
    """One model."""

    model: str


class ModelAnswer(Answer):
    """A model that can be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When its tokenizer was written, seconds since the epoch.")
    owned_by: Literal["local"] = "local"
    dimensions: int
    min_steps: int
    max_steps: int
    default_steps: int


class ModelList(Answer):
    """Models that can be asked for: of the settings, of the collections, and known by name."""

    object: Literal["list"] = "list"
    data: list[ModelAnswer]


def _model(services: Services, asked: EmbeddingsAsked) -> str:
    if asked.model is None:
        return services.settings.model
    check_offered(services, asked.model)
    return asked.model


def _embed(services: Services, asked: EmbeddingsAsked) -> EmbeddingsAnswer:
    name = asked.model or services.settings.model
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    width = services.models.get(name).info.dim
    if asked.dimensions not in (None, width):
        raise ApiError(
            400,
            "invalid_request",
            f"{asked.dimensions} dimensions asked for; vectors of {name} have {width} and cannot "
            "be cut. Leave dimensions out.",
            param="dimensions",
        )
    made = embed(services, name, texts, steps=asked.steps, input_type=asked.input_type)
    write = _base64 if asked.encoding_format == "base64" else _floats
    return EmbeddingsAnswer(
        data=[
            EmbeddingAnswer(index=index, embedding=write(vector))
            for index, vector in enumerate(made.vectors)
        ],
        model=name,
        usage=UsageAnswer(prompt_tokens=made.tokens, total_tokens=made.tokens),
        steps=made.steps,
        truncated=made.truncated,
    )


def _floats(vector: NDArray[np.float32]) -> list[float]:
    values: list[float] = vector.tolist()
    return values


def _base64(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def _models(services: Services, asked: NothingAsked) -> ModelList:
    offered = offered_models(services)
    return ModelList(data=[_described(name, info) for name, info in offered.items()])


def _one_model(services: Services, asked: ModelAsked) -> ModelAnswer:
    check_offered(services, asked.model)
    return _described(asked.model, model_info(asked.model))


def _described(name: str, info: ModelInfo) -> ModelAnswer:
    return ModelAnswer(
        id=name,
        created=int(info.tokenizer_file.stat().st_mtime),
        dimensions=info.dim,
        min_steps=info.min_steps,
        max_steps=info.max_steps,
        default_steps=info.default_steps,
    )


def check_offered(services: Services, name: str) -> None:
    """Check that a model may be asked for.

    Raises:
        ApiError: it may not; the message names those that may.
    """
    if not is_offered(services, name):
        raise ApiError(
            404,
            "model_not_found",
            f"The model {name!r} is not offered here; there are: "
            f"{', '.join(offered_models(services))}. Another one is once a collection uses it or "
            "the app is started with GIRCSE_MODEL.",
            param="model",
        )


OPERATIONS = (
    Operation(
        "POST",
        "/v1/embeddings",
        "createEmbeddings",
        "Embed texts; OpenAI's form, with steps and input_type beside it.",
        EmbeddingsAsked,
        EmbeddingsAnswer,
        _embed,
        body="json",
        model=_model,
        problems=(404, 503),
    ),
    Operation(
        "GET",
        "/v1/models",
        "listModels",
        "List the models that can be asked for.",
        NothingAsked,
        ModelList,
        _models,
    ),
    Operation(
        "GET",
        "/v1/models/{model:path}",
        "getModel",
        "Show one model.",
        ModelAsked,
        ModelAnswer,
        _one_model,
        problems=(404,),
    ),
)
