"""Seeds by what they are for: independent draws, all of them reproducible."""

import hashlib


def derived_seed(*parts: object) -> int:
    """A seed (31 bits) from a project's seed and what it is for."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
