"""Sign-in by a provider (OpenID Connect), as its client; knows no store. docs/decisions/0023."""
