"""PNG replies with an ETag, so that a picture crosses the network once."""

from typing import Annotated, Any

from fastapi import Header, Path, Response

from app.api.dependencies import LARGEST_ID

IfNoneMatch = Annotated[str | None, Header(description="The ETag that the client holds.")]
Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]

PNG_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "The picture."},
    304: {"description": "The client's copy is current."},
}


def png_response(png: bytes, sha256: str, if_none_match: str | None) -> Response:
    """The picture, or 304 when the client has it already."""
    etag = f'"{sha256}"'
    # The same URL may show another picture later (a new model), so clients must ask again.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(png, media_type="image/png", headers=headers)
