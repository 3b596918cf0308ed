"""Sign-in by a provider (OpenID Connect): which, and what it may decide. See docs/sign-in.md."""

from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings


class ProviderSettings(BaseSettings):
    """Part of the installation's settings. Without an issuer there is no such sign-in."""

    oidc_issuer: str | None = Field(
        None, max_length=255, description="The provider, as its discovery document names itself."
    )
    oidc_client_id: str | None = Field(None, description="What the provider calls Sfumato.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="By which the provider knows us; best from a file, see docs/deploy.md."
    )
    oidc_name: str = Field(
        "single sign-on", max_length=60, description="The button says `Sign in with` this."
    )
    oidc_scopes: str = Field(
        "openid profile", description="What is asked for; claims of groups may need another."
    )
    oidc_name_claim: str = Field(
        "preferred_username", description="The claim that an account is named by."
    )
    oidc_groups_claim: str | None = Field(None, description="The claim that lists groups.")
    oidc_roles: dict[str, str] = Field(
        {},
        description="JSON, from a group to roles, with commas between them: a role in all of the "
        "installation (`admin`), or in a project (`brain:reviewer`).",
    )
    oidc_new_accounts: bool = Field(
        False, description="Whom the provider lets in and nobody here knows gets an account."
    )
    public_url: str | None = Field(
        None,
        description="Where people's browsers find this, such as https://sfumato.example.org; "
        "without it, where each request says that it went.",
    )

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        if self.oidc_issuer is None:
            return self
        if not is_private_way(self.oidc_issuer):
            raise ValueError("SFUMATO_OIDC_ISSUER must begin with https://")
        if self.oidc_client_id is None:
            raise ValueError("SFUMATO_OIDC_ISSUER is set: SFUMATO_OIDC_CLIENT_ID must be too")
        if self.oidc_client_secret is None:
            raise ValueError(
                "SFUMATO_OIDC_ISSUER is set: SFUMATO_OIDC_CLIENT_SECRET, or "
                "SFUMATO_OIDC_CLIENT_SECRET_FILE, must be too"
            )
        if self.oidc_roles and self.oidc_groups_claim is None:
            raise ValueError("SFUMATO_OIDC_ROLES is set: SFUMATO_OIDC_GROUPS_CLAIM must be too")
        return self

    @model_validator(mode="after")
    def _plain_origin(self) -> Self:
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
            if parts.scheme not in ("http", "https") or not parts.hostname or extra:
                raise ValueError("SFUMATO_PUBLIC_URL must be like https://sfumato.example.org")
        return self

    def client_secret(self) -> str:
        """The secret that the provider knows us by; empty where there is no provider."""
        return self.oidc_client_secret.get_secret_value() if self.oidc_client_secret else ""


def is_private_way(url: str) -> bool:
    """Whether nobody on the way reads what goes to a URL: over TLS, or within this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http":
        return parts.scheme == "https" and bool(host)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
