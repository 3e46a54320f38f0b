"""An operation of the API: path, values in and out, and the function that does it.

Routes and the OpenAPI document are both made of these, so neither can say what the other does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.services import Services

__all__ = ["Answer", "Asked", "AskedOfCollection", "Body", "NothingAsked", "Operation", "Plain"]

Body = Literal["none", "json", "files"]
"""What a request carries beside its address: nothing, JSON, or a form with files."""


class Asked(BaseModel):
    """What a request carries; anything it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AskedOfCollection(Asked):
    """What is asked of one collection."""

    collection: str | None = Field(None, description="None takes the one of the settings.")

    def collection_name(self, services: Services) -> str:
        """Return the name that is meant; an empty one is a name, though none can have it."""
        return services.settings.collection if self.collection is None else self.collection


class NothingAsked(Asked):
    """No parameters."""


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer that is not made of values.

    Args:
        content: its bytes.
        media_type: of the content.
        status: of the answer.
    """

    content: bytes
    media_type: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked.

    Args:
        method: of HTTP.
        path: with parameters in braces; one that ends in ``:path`` takes slashes.
        name: what clients made from the document call it.
        summary: one line about it.
        asked: its parameters: those of the path, and the rest by ``body``: in the address, as
            JSON, or as fields of a form, whose files the handler gets as ``asked.files``.
        answer: what comes back; None where that is no JSON.
        handler: does it, in a thread, given the parts of the app and what was asked.
        body: where the parameters are.
        status: of the answer when all is well.
        further_statuses: that the same kind of answer may have.
        problems: statuses of errors that are to be expected.
        model: returns the name of the model that has to be loaded before, if any.
        answer_media_type: of an answer that is no JSON.
        is_public: no key is asked for.
        is_write: it changes something.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    summary: str
    asked: type[Asked]
    answer: type[Answer] | None
    handler: Callable[[Services, Any], Answer | Plain]
    body: Body = "none"
    status: int = 200
    further_statuses: tuple[int, ...] = ()
    problems: tuple[int, ...] = ()
    model: Callable[[Services, Any], str | None] | None = None
    answer_media_type: str = "application/json"
    is_public: bool = False
    is_write: bool = False
