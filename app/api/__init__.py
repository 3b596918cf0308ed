"""Thin routers, one file a resource: validate, call the loop, shape the reply."""
