"""Uploaded pictures and masks: read up to a limit, decoded some at a time, before any session.

Declared before a session in a signature: decoding and encoding take no part in a transaction.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import LARGEST_ID, CurrentDatabase, CurrentSettings, MayDraw, SignedIn
from app.api.gate import Gate, GateEach
from app.core.derived import Answers
from app.core.errors import BodyTooLarge
from app.core.pixels import decode_picture, decode_upload, size_of
from app.core.prepared import PreparedImage, PreparedMask, prepare_image, prepare_mask
from app.loop.access import Reader
from app.loop.foreseen import before_submission
from app.loop.masks import check_size
from app.loop.slices import find_slice
from app.store import Database, Role

_Decoded = TypeVar("_Decoded")


async def _body(
    request: Request, settings: CurrentSettings, sender: SignedIn
) -> AsyncIterator[bytes]:
    """The raw body. It stays in memory until the request ends: so many at once for each account."""
    gates: GateEach = request.app.state.upload_gates
    async with gates.turn(sender.account.id):
        yield await _read(request, settings.max_upload_bytes)


async def _read(request: Request, limit: int) -> bytes:
    """The raw body, refused as soon as it is known to be too large."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge(f"the body has {announced} bytes, the limit is {limit}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes, the limit")
    return bytes(body)


Body = Annotated[bytes, Depends(_body, scope="function")]


@dataclass(frozen=True)
class Picture:
    """An uploaded picture: its planes, one of grey or three of colour, encoded to be kept."""

    planes: list[PreparedImage]


async def _picture(request: Request, body: Body, settings: CurrentSettings) -> Picture:
    return await in_turn(request, partial(_prepared_picture, body, settings.max_image_pixels))


def _prepared_picture(body: bytes, max_pixels: int) -> Picture:
    planes = decode_picture(body, max_pixels)
    return Picture([prepare_image(plane, upload=body) for plane in planes])


@dataclass(frozen=True)
class Drawn:
    """An uploaded mask, and what follows from it and other masks of its slice."""

    mask: PreparedMask
    answers: Answers


async def _drawn(
    request: Request,
    slice_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    author: MayDraw,
    body: Body,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Drawn:
    most = settings.max_image_pixels
    await run_in_threadpool(_check_header, database, author, slice_id, body, most)
    return await in_turn(request, partial(_prepared_mask, database, author, slice_id, body, most))


def _prepared_mask(
    database: Database, author: Reader, slice_id: int, body: bytes, max_pixels: int
) -> Drawn:
    mask = prepare_mask(decode_upload(body, max_pixels), upload=body)
    return Drawn(mask, before_submission(database, author, slice_id, mask))


def _check_header(
    database: Database, author: Reader, slice_id: int, body: bytes, max_pixels: int
) -> None:
    """Refuse a mask that cannot be the slice's, whatever decoding it would bring to light."""
    with database.reading() as session:
        slice_ = find_slice(session, author, slice_id, Role.ANNOTATOR)
    said = size_of(body)
    if said is not None and said[0] * said[1] <= max_pixels:
        check_size(slice_, *said)


async def in_turn(request: Request, decode: Callable[[], _Decoded]) -> _Decoded:
    """Decode in a thread, when it is this request's turn to."""
    # Whoever waits holds no thread, so large pictures leave the others' requests theirs; and no
    # more of them lie decoded in memory than may.
    gate: Gate = request.app.state.decoding_gate
    async with gate.turn():
        return await run_in_threadpool(decode)


PictureBody = Annotated[Picture, Depends(_picture)]
MaskBody = Annotated[Drawn, Depends(_drawn)]
