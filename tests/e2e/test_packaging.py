"""What a Python package can check of the container files; no engine runs here."""

from pathlib import Path

import pytest
from compose_spec import PyCompose
from dockerfile_parse import DockerfileParser

from app.cli import cli

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict:
    return PyCompose.from_yaml((ROOT / "docker-compose.yml").read_text()).to_dict()


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=(ROOT / "Dockerfile").open("rb"))
    return [(i["instruction"], i["value"]) for i in parser.structure]


def test_compose_has_every_part_with_health_checks(compose):
    services = compose["services"]
    assert set(services) == {"db", "broker", "migrate", "api", "worker"}
    for name, service in services.items():
        assert ("healthcheck" in service) == (name != "migrate")
    assert compose["volumes"].keys() == {"database"}


def test_compose_depends_on_what_exists_and_builds_targets_that_exist(compose, instructions):
    stages = {value.split()[-1] for kind, value in instructions if kind == "FROM"}
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        if "build" in service:
            assert service["build"]["target"] in stages


def test_images_run_without_root_and_copy_what_exists(instructions):
    assert ("USER", "sfumato") in instructions
    for kind, value in instructions:
        if kind == "COPY" and not value.startswith("--from"):
            assert all((ROOT / source).exists() for source in value.split()[:-1])


def test_containers_run_commands_that_exist(compose, instructions):
    import json

    import typer

    known = set(typer.main.get_command(cli).commands)
    commands = [json.loads(value) for kind, value in instructions if kind == "CMD"]
    commands += [s["command"] for s in compose["services"].values() if "command" in s]
    ours = [command[1] for command in commands if command[0] == "sfumato"]
    assert len(ours) == 3
    assert set(ours) <= known


def test_the_environment_names_settings_that_exist(compose):
    from app.settings import Settings

    for service in compose["services"].values():
        for name in service.get("environment", {}):
            if name.startswith("SFUMATO_"):
                assert name.removeprefix("SFUMATO_").lower() in Settings.model_fields
