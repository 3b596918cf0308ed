"""Passwords, kept as hashes of Argon2id (RFC 9106). Hashing takes a while, on purpose: never do it
in a transaction.
"""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.core.errors import InvalidInput

SHORTEST, LONGEST = 12, 200
_hasher = PasswordHasher()
# Each takes 64 MiB while it is hashed, whoever asks: so many at once, the others wait.
_turns = threading.BoundedSemaphore(2)
# Of nobody's password: a name that nobody has takes as long to refuse as a wrong password.
_NOBODYS = _hasher.hash("nobody has this password")


def hash_password(password: str, of: str = "") -> str:
    """What is kept of a password. Raises ``InvalidInput`` for a short or very long one, and for
    one that is little more than the name of the account that it is ``of``.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(
            f"the password has {len(password)} characters: use {SHORTEST} to {LONGEST}, for "
            "example four words that have nothing to do with each other"
        )
    # What is left beside the name has to be guessed; the name is known.
    if of and len(password.casefold().replace(of.casefold(), "")) < SHORTEST // 2:
        raise InvalidInput(
            "the password is little more than the account's name: use, for example, four words "
            "that have nothing to do with each other"
        )
    with _turns:
        return _hasher.hash(password)


def is_password(kept: str | None, password: str) -> bool:
    """Whether a password is the one of which ``kept`` is the hash; there may be none."""
    try:
        with _turns:
            right = _hasher.verify(kept or _NOBODYS, password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return right and kept is not None
