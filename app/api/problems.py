"""Every error as RFC 9457 problem+json: the one table from domain errors to statuses."""

import math
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.core import errors
from app.store.blobs import BlobsGone

STATUS: dict[type[errors.SfumatoError], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.ProjectAmbiguous: HTTPStatus.CONFLICT,
    errors.AlreadyExists: HTTPStatus.CONFLICT,
    errors.ProjectArchived: HTTPStatus.CONFLICT,
    errors.TransferUnderWay: HTTPStatus.CONFLICT,
    errors.Removed: HTTPStatus.GONE,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnknownName: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.CannotLoad: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.ProviderRefused: HTTPStatus.UNAUTHORIZED,
    errors.ProviderAway: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.LeaseLost: HTTPStatus.GONE,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.BodyTooManyPixels: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.ImageUnreadable: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.ImageNotGreyscale: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SliceIncomplete: HTTPStatus.CONFLICT,
    errors.MaskShapeMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ClassUnknown: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.VolumeInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NothingLabelled: HTTPStatus.CONFLICT,
    errors.NothingScored: HTTPStatus.CONFLICT,
    errors.JobFinished: HTTPStatus.CONFLICT,
}

_log = structlog.get_logger("sfumato.api")


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(examples=["urn:sfumato:problem:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no slice 7"])
    instance: str = Field(examples=["/slices/7/image"])
    request_id: str | None = None


def problem(
    request: Request,
    status: int,
    title: str,
    detail: str,
    headers: dict[str, str] | None = None,
    **extensions: Any,
) -> JSONResponse:
    """A problem+json response."""
    content = {
        "type": f"urn:sfumato:problem:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": int(status),
        "detail": detail,
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", None),
        **extensions,
    }
    return JSONResponse(content, int(status), headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem, and say so in its OpenAPI document."""
    describe = app.openapi
    app.openapi = lambda: _with_problems(describe())  # type: ignore[method-assign]
    app.add_exception_handler(errors.SfumatoError, answer)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(StaleDataError, _gone)
    app.add_exception_handler(BlobsGone, _gone)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _unexpected)


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Every operation's errors are problems; FastAPI would have announced its own kind."""
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            for kind, words in (("4XX", "The request cannot be met."), ("5XX", "Not now.")):
                operation["responses"][kind] = {"description": words, "content": content}
    return document


def answer(request: Request, error: Exception) -> JSONResponse:
    """The problem that an error of the domain is."""
    kind = type(error)
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in kind.__name__).strip()
    status = STATUS[kind]  # type: ignore[index]  # only SfumatoError is routed here
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    if isinstance(error, errors.TooManyRequests):
        headers = {"Retry-After": str(max(1, math.ceil(error.seconds)))}
    return problem(request, status, words.capitalize(), str(error), headers)


def _left(request: Request, error: Exception) -> JSONResponse:
    # Nobody reads this: whoever sent half of a body has gone, or was closed for being slow.
    status = HTTPStatus.REQUEST_TIMEOUT
    return problem(request, status, "Client gone", "the connection ended within the body")


def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    title = HTTPStatus(error.status_code).phrase
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}: see /openapi.json"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not take {request.method}: see /openapi.json"
    headers = dict(error.headers) if error.headers else None
    return problem(request, error.status_code, title, detail, headers)


def _validation(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    found = [
        {
            "where": ".".join(str(part) for part in e["loc"]),
            "message": e["msg"].removeprefix("Value error, "),
        }
        for e in error.errors()
    ]
    detail = "; ".join(f"{e['where']}: {e['message']}" for e in found)
    return problem(
        request,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid request",
        detail,
        errors=found,
    )


def _database(request: Request, error: Exception) -> JSONResponse:
    # Locked, full, unreachable, or two requests that made the same thing at once: nothing was
    # committed, so the request can be repeated.
    if not isinstance(error, OperationalError | IntegrityError):
        return _unexpected(request, error)
    _log.error("database unavailable", error=str(error.orig))
    return problem(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Database unavailable",
        f"the database could not complete this ({error.orig}); nothing was stored: "
        "repeat the request in a moment, or ask an admin to look at disk and database",
        {"Retry-After": "2"},
    )


def _gone(request: Request, error: Exception) -> JSONResponse:
    # Between two looks of a request at the database, somebody deleted what it is about: asked
    # again, it is not found. If it is found and its bytes are not, the log says which.
    _log.error("deleted meanwhile, or lost", error=str(error))
    return problem(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Deleted meanwhile",
        "what this is about was deleted while it was asked for; nothing was stored: repeat the "
        "request to see, and if this comes again, ask an admin to look at the log",
        {"Retry-After": "2"},
    )


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected error", path=request.url.path, exc_info=error)
    return problem(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Internal error",
        "the server met an error of its own; the log has it under the request id",
    )
