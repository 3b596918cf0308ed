"""Who may do what."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.store.base import Base, EnumText, utc_now


class Role(StrEnum):
    """Roles in a project, each including the ones before it."""

    VIEWER = "viewer"
    ANNOTATOR = "annotator"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Account(Base):
    """A person or a program.

    ``role``: ``admin`` is an admin of the installation; any other is the role in which it joins
    every project that is made; None: it is a member of the projects that it was added to.
    """

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    role: Mapped[Role | None] = mapped_column(EnumText(Role))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    disabled_at: Mapped[datetime | None]
    # Of argon2; None: it signs in with a token, or by a provider, alone.
    password_hash: Mapped[str | None] = mapped_column(String(200))


class Member(Base):
    """An account's role in a project."""

    __tablename__ = "members"
    __table_args__ = (Index("ix_members_account", "account_id"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    role: Mapped[Role] = mapped_column(EnumText(Role))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    account: Mapped[Account] = relationship()


class Token(Base):
    """A random bearer token, of which only the sha256 is kept; with a project, of that alone."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    revoked_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship()


class SignIn(Base):
    """A browser's session. Made with a token, it is of that one's project, and over when that is
    revoked.

    The cookie holds a random secret, of which only the sha256 is kept.
    """

    __tablename__ = "sign_ins"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship()
    token: Mapped[Token | None] = relationship()


class Identity(Base):
    """Whom an account is at the provider of sign-ins: ``subject`` at ``issuer``, for ever.

    Without a subject it is an admin's leave: until ``expires_at``, the first whom the provider
    calls ``name_there`` becomes the account's.
    """

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), unique=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str | None] = mapped_column(String(255))
    name_there: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship()
