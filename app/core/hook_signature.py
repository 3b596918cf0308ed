"""How a webhook proves that it comes from here."""

import hashlib
import hmac


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """``v1=`` and the HMAC-SHA256 of ``timestamp.body`` in hexadecimal digits.

    The time (seconds since 1970) is signed too, so that receivers can refuse what was recorded.
    """
    signed = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
