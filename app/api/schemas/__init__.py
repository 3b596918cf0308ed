"""The shapes of requests and replies, by resource, with the examples that OpenAPI shows."""
