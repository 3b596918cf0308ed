"""Whom a provider of sign-ins vouches for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Vouched:
    """Somebody who has signed in at a provider.

    ``subject`` at ``issuer`` is one person for ever; ``name`` is what the provider calls them now.
    """

    issuer: str
    subject: str
    name: str | None
    groups: frozenset[str] = frozenset()
