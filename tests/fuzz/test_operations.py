"""Every operation, called in thousands of ways by every role: nothing breaks, nothing leaks.

SFUMATO_FUZZ=200 tries 200 calls of each operation a role; without it, some.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

from app.main import create_app
from app.settings import Settings
from app.store import Role
from tests.api.test_archives import archive
from tests.api.test_roles import NOWHERE, Study, client, make_study, member
from tests.conftest import Api, RecordingDispatcher, mask, picture
from tests.fuzz.belongings import belongings

TRIES = int(os.environ.get("SFUMATO_FUZZ", "2"))
FOREIGN = "belongs-to-others"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
BASE = "http://testserver"
# Bodies that are no JSON: good ones, and any bytes. What is damaged in them: test_broken_bodies.
BODIES = {
    "image/png": st.sampled_from([picture(), mask(), mask(9)]) | st.binary(max_size=64),
    "image/tiff": st.binary(max_size=64),
    "application/zip": st.just(archive(**{"images/a/0.png": picture()})) | st.binary(max_size=64),
}
for kind, strategy in BODIES.items():
    schemathesis.openapi.media_type(kind, strategy)


@schemathesis.serializer(*BODIES)
def as_it_is(context: schemathesis.SerializationContext, value: Any) -> Any:
    return value if isinstance(value, bytes) else str(value).encode()


fuzzed = settings(
    max_examples=TRIES,
    deadline=None,
    database=None,
    derandomize=True,
    # What was called has changed the world: a call that failed may not fail again.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class World:
    """Who calls, and what was wrong about the replies."""

    callers: dict[str, TestClient]
    # What no reply may hold that was not part of the call.
    hidden: str | None
    failures: dict[str, str] = field(default_factory=dict)

    def call(self, case: schemathesis.Case) -> None:
        """Let everybody make this call, and note what is wrong about the replies."""
        for name, caller in self.callers.items():
            asked = requests.Request(**case.as_transport_kwargs(base_url=BASE)).prepare()
            headers = {k: v for k, v in asked.headers.items() if k.lower() != "authorization"}
            reply = caller.request(asked.method, asked.url, headers=headers, content=asked.body)
            caller.cookies.clear()
            self._judge(name, case, asked, reply)

    def _judge(self, name: str, case: Any, asked: Any, reply: Any) -> None:
        try:
            case.validate_response(reply, checks=CHECKS)
        except (Failure, FailureGroup) as found:
            for one in getattr(found, "exceptions", [found]):
                kind = f"{case.operation.label}: {reply.status_code} {type(one).__name__}"
                self.failures.setdefault(
                    kind, f"{name}: {asked.url} {asked.body!r:.300}\n{one!s:.2000}"
                )
        sent = f"{asked.url}{asked.body}"
        if self.hidden and self.hidden in reply.text and self.hidden not in sent:
            self.failures[f"{case.operation.label}: leak"] = f"{name}: {sent}\n{reply.text:.2000}"


@pytest.fixture
def fuzzed_api(database, database_url, tmp_path) -> Iterator[Api]:
    unlimited = dict.fromkeys(
        (
            "requests_per_minute_by_token",
            "requests_per_minute_by_address",
            "failed_sign_ins_per_minute",
            "failed_tokens_per_minute",
        ),
        0,
    )
    given_settings = Settings(
        data=tmp_path,
        database_url=database_url,
        sweep_seconds=3600,
        max_image_pixels=256 * 256,
        import_processes=0,
        **unlimited,
    )
    dispatcher = RecordingDispatcher()
    app = create_app(given_settings, database, dispatcher)
    with TestClient(app, raise_server_exceptions=False) as one:
        yield Api(database, given_settings, dispatcher, one)


def outsiders(api: Api) -> dict[str, TestClient]:
    """Everybody to whom the foreign project is not there."""
    roles = (Role.VIEWER, Role.ANNOTATOR, Role.REVIEWER, Role.ADMIN)
    return {
        "nobody": client(api, None),
        **{role: member(api, role, "home") for role in roles},
        "installation, with a token of one project": client(api, narrow_token(api)),
    }


def narrow_token(api: Api) -> str:
    """A token of an admin of the installation, good for one project alone."""
    asked = {"name": "root", "role": "admin", "project": "home"}
    return api.as_("root", Role.ADMIN).post("/tokens", json=asked).json()["token"]


def installation(api: Api) -> dict[str, TestClient]:
    return {"installation": api.as_("root", Role.ADMIN)}


def known_places(case: schemathesis.Case, study: Study) -> schemathesis.Case:
    """The call, but about what is there: its numbers and names are the study's."""
    for names in (case.path_parameters, case.query):
        for name in names or ():
            key = "name" if name == "project" else name
            if key in study.numbers:
                names[name] = study.numbers[key]
    if isinstance(case.body, dict) and "project" in case.body:
        case.body["project"] = study.numbers["name"]
    return case


def calls_of(operation: schemathesis.APIOperation, studies: list[Study]) -> st.SearchStrategy:
    """Right and wrong calls of an operation, most of them about what is there."""
    right = operation.as_strategy(GenerationMode.POSITIVE)
    ways = [st.builds(known_places, right, st.sampled_from(studies))]
    if operation.path_parameters or operation.query or operation.body:
        ways.append(operation.as_strategy(GenerationMode.NEGATIVE))
    if not operation.path.endswith("/events"):
        # A stream of what goes on has no end.
        ways.append(right)
    return st.one_of(ways)


@pytest.mark.parametrize("who", [outsiders, installation])
def test_no_call_breaks_anything(fuzzed_api, who):
    api = fuzzed_api
    home, foreign = make_study(api, "home"), make_study(api, FOREIGN)
    hidden = FOREIGN if who is outsiders else None
    world = World(who(api), hidden)
    before = belongings(api.database, FOREIGN)
    assert {"slices", "masks", "models", "hooks", "transfers", "events", "members"} <= set(before)
    document = schemathesis.openapi.from_dict(api.client.app.openapi())
    operations = [result.ok() for result in document.get_all_operations()]
    # What is deleted is not there for the others.
    for operation in sorted(operations, key=lambda one: one.method == "delete"):

        @fuzzed
        @given(calls_of(operation, [home, foreign, NOWHERE]))
        def call(case):
            world.call(case)

        call()
    if who is outsiders:
        assert belongings(api.database, FOREIGN) == before
    assert not world.failures, "\n\n".join(f"{k}\n{v}" for k, v in world.failures.items())
