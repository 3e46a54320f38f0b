"""Documents: what there is and how far it has come, adding by upload or path, removing."""

from __future__ import annotations

from pathlib import PurePath

from app.api.document_values import (
    DocumentAnswer,
    ListAnswer,
    ListAsked,
    OneAsked,
    PathAnswer,
    PathAsked,
    QueuedAnswer,
    RemovedAnswer,
    TextAnswer,
    UploadAnswer,
    UploadAsked,
)
from app.api.errors import ApiError
from app.api.operations import Operation
from app.library.document_states import DocumentState, document_state, document_states
from app.services import Services
from indexer.documents import document_id
from indexer.indexing.discovery import display_path

__all__ = ["OPERATIONS"]


def _list(services: Services, asked: ListAsked) -> ListAnswer:
    where = asked.where()
    if where is not None and asked.state:
        raise ApiError(
            400,
            "invalid_request",
            "state cannot be combined with type, path, after or before: those are known only of "
            "documents that can be searched. Ask for either.",
            param="state",
        )
    name = asked.collection_name(services)
    with services.collections.use(name) as collection:
        # One more than asked for tells whether there are more.
        found = document_states(
            collection,
            where=where,
            states=asked.state,
            offset=asked.offset,
            limit=asked.limit + 1,
        )
    page = found[: asked.limit]
    return ListAnswer(
        collection=name,
        documents=[DocumentAnswer.model_validate(_values(document)) for document in page],
        next_offset=asked.offset + len(page) if len(found) > len(page) else None,
    )


def _get(services: Services, asked: OneAsked) -> TextAnswer:
    with services.collections.use(asked.collection_name(services)) as collection:
        state = document_state(services, collection, asked.id)
        if state is None:
            raise _unknown(asked.id, collection.name)
        document = collection.store.document(asked.id) if state.record else None
    return TextAnswer.model_validate(
        {**_values(state), "text": document.text if document else None}
    )


def _upload(services: Services, asked: UploadAsked) -> UploadAnswer:
    name = asked.collection_name(services)
    paths = services.add_uploads(name, asked.files)
    documents = [
        QueuedAnswer(
            id=document_id(display_path(path)),
            name=path.name,
            source=display_path(path),
            state="queued",
        )
        for path in paths
    ]
    return UploadAnswer(collection=name, documents=documents)


def _add_path(services: Services, asked: PathAsked) -> PathAnswer:
    if not services.takes_paths:
        raise ApiError(
            403,
            "paths_not_taken",
            "This server can be reached from other machines, so it takes no paths of its own. "
            "Upload the files, or run `gircse index PATH` on the server.",
            param="path",
        )
    name = asked.collection_name(services)
    path = services.check_path(asked.path)
    job = services.add_path(name, path)
    return PathAnswer(collection=name, path=display_path(path), job=job.id)


def _delete(services: Services, asked: OneAsked) -> RemovedAnswer:
    name = asked.collection_name(services)
    with services.collections.use(name) as collection:
        state = document_state(services, collection, asked.id)
    if state is None:
        raise _unknown(asked.id, name)
    if not services.delete_documents(name, [asked.id]):
        raise ApiError(
            409,
            "document_waiting",
            f"{state.source} still waits to be read, so there is nothing to remove yet. Ask again "
            "when it is done.",
            param="id",
        )
    return RemovedAnswer(id=asked.id, collection=name, source=state.source)


def _unknown(identity: str, collection: str) -> ApiError:
    return ApiError(
        404,
        "document_not_found",
        f"There is no document {identity!r} in collection {collection!r}; GET /api/documents lists "
        "those there are.",
        param="id",
    )


def _values(state: DocumentState) -> dict[str, object]:
    record = state.record
    return {
        "id": state.id,
        "source": state.source,
        "state": state.state,
        "title": record.title if record else PurePath(state.source).name,
        "media_type": record.media_type if record else None,
        "modified_at": record.modified_at if record else None,
        "size_bytes": record.size_bytes if record else None,
        "chunks": record.chunks if record else 0,
        "metadata": dict(record.metadata) if record else {},
        "code": state.code,
        "message": state.message,
        "hint": state.hint,
    }


OPERATIONS = (
    Operation(
        "GET",
        "/api/documents",
        "listDocuments",
        "List documents with how far each has come, failed ones included.",
        ListAsked,
        ListAnswer,
        _list,
        problems=(404,),
    ),
    Operation(
        "POST",
        "/api/documents",
        "uploadDocuments",
        "Upload files; they are read in the background.",
        UploadAsked,
        UploadAnswer,
        _upload,
        body="files",
        status=202,
        problems=(404, 413),
        is_write=True,
    ),
    Operation(
        "POST",
        "/api/documents/from-path",
        "addPath",
        "Add a file or folder of the server's own disk; only where nobody else reaches it.",
        PathAsked,
        PathAnswer,
        _add_path,
        body="json",
        status=202,
        problems=(404,),
        is_write=True,
    ),
    Operation(
        "GET",
        "/api/documents/{id}",
        "getDocument",
        "Get a document with its text, as it was read.",
        OneAsked,
        TextAnswer,
        _get,
        problems=(404,),
    ),
    Operation(
        "DELETE",
        "/api/documents/{id}",
        "deleteDocument",
        "Remove a document, and its copy if it was uploaded; other files stay on the disk.",
        OneAsked,
        RemovedAnswer,
        _delete,
        problems=(404, 409),
        is_write=True,
    ),
)
