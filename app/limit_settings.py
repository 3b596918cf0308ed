"""The bounds of an installation: how much anybody may send, hold open or ask for.

`docs/limits.md` tells people of them; a test holds that table to this file.
"""

from pydantic import Field
from pydantic_settings import BaseSettings


class LimitSettings(BaseSettings):
    """Part of the installation's settings. Where 0 is allowed, it turns the limit off."""

    max_upload_bytes: int = Field(32 * 1024 * 1024, gt=0, description="Of a picture or mask.")
    max_import_bytes: int = Field(4 * 1024**3, gt=0, description="Of an uploaded data set.")
    json_body_bytes: int = Field(
        1 << 20, ge=1024, description="Of a request that is no picture and no archive, at most."
    )
    max_image_pixels: int = Field(8192 * 8192, gt=0, description="Checked before decoding.")
    decodings_at_once: int = Field(
        2, ge=1, description="Uploaded pictures that one server decodes at the same time."
    )
    uploads_per_account: int = Field(
        8, ge=1, description="Pictures and masks that are taken in at once; further ones wait."
    )
    lock_timeout_seconds: float = Field(10.0, gt=0, description="Wait for a locked database.")

    max_connections: int = Field(
        512, ge=0, description="Of one server; never more than half of the files it may open."
    )
    connections_per_address: int = Field(
        128, ge=0, description="As before, of one address that is no trusted proxy."
    )
    header_seconds: float = Field(10.0, ge=0, description="For a request's header to be whole.")
    body_seconds: float = Field(
        30.0, ge=0, description="In each such span, `body_bytes_per_second` must have come."
    )
    body_bytes_per_second: int = Field(200, ge=1, description="Of a body that is being sent.")
    reply_seconds: float = Field(
        120.0, ge=0, description="A client that takes nothing of its reply for so long is closed."
    )
    keep_alive_seconds: int = Field(5, ge=1, description="Of a connection between requests.")

    streams_per_account: int = Field(32, ge=0, description="Event streams open at once.")
    requests_per_minute_by_token: int = Field(12_000, ge=0)
    requests_per_minute_by_address: int = Field(60_000, ge=0)
    failed_sign_ins_per_minute: int = Field(10, ge=0, description="From one address.")
    failed_tokens_per_minute: int = Field(
        30, ge=0, description="Requests from one address whose bearer token is wrong."
    )
