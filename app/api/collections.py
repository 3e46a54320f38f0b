"""Collections: what there is, what one holds and does, making and deleting them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.api.embeddings import check_offered
from app.api.errors import ApiError
from app.api.operations import Answer, Asked, NothingAsked, Operation
from app.services import Services
from app.work.activity import Activity
from indexer.collections.summary import CollectionSummary
from indexer.errors import CollectionNotFoundError
from indexer.indexing.index_report import Phase
from indexer.setting_rules import MAX_STEPS

__all__ = ["OPERATIONS"]


class NameAsked(Asked):
    """One collection."""

    name: str


class CreateAsked(Asked):
    """A collection to make."""

    name: str = Field(description="1 to 64 of the characters A-Z a-z 0-9 . _ -")
    model: str | None = Field(
        None, description="One of GET /v1/models; None takes the one of the settings."
    )
    steps: Annotated[int, Field(ge=0, le=MAX_STEPS)] | None = Field(
        None,
        description="Refinement steps of its documents; None takes those of the settings, or else "
        "the model's own.",
    )


class CollectionAnswer(Answer):
    """A collection at a glance."""

    name: str
    documents: int = Field(description="Files that can be searched.")
    chunks: int = Field(description="Their passages.")
    size_bytes: int
    model: str = Field(description="Empty when it cannot be read.")
    steps: int | None = Field(description="Refinement steps of its documents.")
    states: dict[str, int] = Field(description="Number of files in each state that occurs.")
    modified_at: float = Field(description="Seconds since the epoch.")
    problem: str | None = Field(description="Why it cannot be opened, with what to do.")


class RunningAnswer(Answer):
    """The job at hand."""

    job: str
    phase: Phase | None = Field(description="None until the first files are found.")
    files_done: int
    files_total: int
    is_stopping: bool


class HeldAnswer(Answer):
    """A job that cannot go on by itself."""

    job: str
    reason: str
    is_retried: bool


class ActivityAnswer(Answer):
    """What is being indexed in a collection."""

    running: RunningAnswer | None
    waiting: int
    held: list[HeldAnswer]
    stopped: int


class CollectionDetail(CollectionAnswer):
    """A collection with its settings and what goes on in it; None where it cannot be opened."""

    id: str | None
    query_steps: int | None = Field(description="Refinement steps of queries that name none.")
    fingerprint: dict[str, object] | None = Field(description="What decides its vectors.")
    generation: int | None = Field(description="The one that is searched; a rebuild makes more.")
    store: str | None = Field(description="What keeps its index, such as faiss.")
    index: str | None = Field(description="The type of its index, such as flat.")
    activity: ActivityAnswer


class CollectionList(Answer):
    """All collections, ordered by name."""

    collections: list[CollectionAnswer]


class DeletedAnswer(Answer):
    """What is gone."""

    name: str
    documents: int
    chunks: int


def _list(services: Services, asked: NothingAsked) -> CollectionList:
    summaries = services.library.summaries()
    return CollectionList(
        collections=[CollectionAnswer.model_validate(_values(summary)) for summary in summaries]
    )


def _show(services: Services, asked: NameAsked) -> CollectionDetail:
    summary = _summary(services, asked.name)
    names = set(CollectionDetail.model_fields) - set(CollectionAnswer.model_fields)
    details: dict[str, object] = dict.fromkeys(names)
    if summary.problem is None:
        with services.collections.use(asked.name) as collection, collection.using() as live:
            details = {
                "id": collection.id,
                "query_steps": collection.query_steps(),
                "fingerprint": live.config.fingerprint.as_dict(),
                "generation": live.record.number,
                "store": live.record.store,
                "index": live.record.index,
            }
    activity = _activity(services.activity(asked.name))
    return CollectionDetail.model_validate({**_values(summary), **details, "activity": activity})


def _create(services: Services, asked: CreateAsked) -> CollectionDetail:
    taken = [name for name in services.library.names() if name.casefold() == asked.name.casefold()]
    if taken:
        raise ApiError(
            409,
            "collection_exists",
            f"There is a collection {taken[0]!r} already; use it, or choose a name that differs in "
            "more than upper and lower case.",
            param="name",
        )
    if asked.model is not None:
        check_offered(services, asked.model)
    services.create_collection(asked.name, model=asked.model, steps=asked.steps)
    return _show(services, NameAsked(name=asked.name))


def _delete(services: Services, asked: NameAsked) -> DeletedAnswer:
    summary = _summary(services, asked.name)
    services.delete_collection(asked.name)
    return DeletedAnswer(name=summary.name, documents=summary.documents, chunks=summary.chunks)


def _summary(services: Services, name: str) -> CollectionSummary:
    for summary in services.library.summaries():
        if summary.name == name:
            return summary
    names = ", ".join(services.library.names()) or "none yet"
    raise CollectionNotFoundError(f"there is no collection {name!r}; there are: {names}")


def _values(summary: CollectionSummary) -> dict[str, object]:
    return {name: getattr(summary, name) for name in CollectionAnswer.model_fields}


def _activity(activity: Activity) -> ActivityAnswer:
    running, answer = activity.running, None
    if running is not None:
        progress = running.progress
        answer = RunningAnswer(
            job=running.job.id,
            phase=progress.phase if progress else None,
            files_done=progress.files_done if progress else 0,
            files_total=progress.files_total if progress else 0,
            is_stopping=running.is_stopping,
        )
    return ActivityAnswer(
        running=answer,
        waiting=len(activity.waiting),
        held=[
            HeldAnswer(job=held.job.id, reason=held.reason, is_retried=held.is_retried)
            for held in activity.held
        ],
        stopped=len(activity.stopped),
    )


OPERATIONS = (
    Operation(
        "GET",
        "/api/collections",
        "listCollections",
        "List all collections.",
        NothingAsked,
        CollectionList,
        _list,
    ),
    Operation(
        "POST",
        "/api/collections",
        "createCollection",
        "Make an empty collection.",
        CreateAsked,
        CollectionDetail,
        _create,
        body="json",
        status=201,
        problems=(404, 409),
        is_write=True,
    ),
    Operation(
        "GET",
        "/api/collections/{name}",
        "getCollection",
        "Show what a collection holds, how it was made and what is being indexed.",
        NameAsked,
        CollectionDetail,
        _show,
        problems=(404,),
    ),
    Operation(
        "DELETE",
        "/api/collections/{name}",
        "deleteCollection",
        "Delete a collection with everything in it; the files it was made from stay.",
        NameAsked,
        DeletedAnswer,
        _delete,
        problems=(404, 409),
        is_write=True,
    ),
)
