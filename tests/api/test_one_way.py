"""Replies are shaped in one way: a field of a slice stands in two places, loop and schema."""

import inspect
from typing import Any, get_type_hints

from fastapi.routing import APIRoute

from app.api.schemas.slices import ItemOut, SliceFields, SliceOut, ToReviewOut
from app.loop.slice_views import SliceView


def test_a_field_of_a_slice_reaches_everybody_who_is_told_of_slices():
    # The addresses of its pictures are the interface's own; all else is the loop's.
    assert set(SliceFields.model_fields) - {"image"} <= set(SliceView.__dataclass_fields__)
    for reply in (SliceOut, ItemOut, ToReviewOut):
        assert issubclass(reply, SliceFields)


def routes_of(application) -> list[APIRoute]:
    """What is in the OpenAPI document; the application itself holds routers, not their routes."""
    found = [
        route
        for included in application.routes
        for route in getattr(getattr(included, "original_router", included), "routes", [included])
        if isinstance(route, APIRoute) and route.include_in_schema
    ]
    operations = [method for path in application.openapi()["paths"].values() for method in path]
    assert len(found) == len(operations)
    return found


def test_every_route_says_what_it_answers(api):
    untyped = []
    for route in routes_of(api.client.app):
        answer = get_type_hints(route.endpoint).get("return")
        if answer in (None, Any, dict) or getattr(answer, "__origin__", None) is dict:
            untyped.append(route.path)
    assert untyped == []


def test_the_loop_returns_no_bare_dictionaries_of_anything():
    from importlib import import_module
    from pkgutil import iter_modules

    import app.loop

    found = []
    for module in iter_modules(app.loop.__path__):
        for name, function in inspect.getmembers(
            import_module(f"app.loop.{module.name}"), inspect.isfunction
        ):
            answer = str(inspect.signature(function).return_annotation)
            if function.__module__.startswith("app.loop") and "dict[str, Any]" in answer:
                found.append(f"{module.name}.{name}")
    # A scoring job's payload is kept as JSON: it is data of ours, not a reply.
    assert set(found) <= {"next_round.shards"}
