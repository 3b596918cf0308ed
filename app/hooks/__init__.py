"""Webhooks on their way out: which addresses are gone to, one request, a server's thread."""
