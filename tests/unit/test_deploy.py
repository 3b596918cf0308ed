"""What can be checked of the files of a deployment without an engine, a cluster or systemd."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml
from compose_spec import PyCompose
from dockerfile_parse import DockerfileParser
from jsonschema import Draft7Validator

from app.cli import cli
from app.setting_files import file_variables
from app.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/sfumato"
UNITS = ROOT / "deploy/systemd"
# The server's own name for a thing is a variable of the environment.
VARIABLES = {f"SFUMATO_{name.upper()}" for name in Settings.model_fields} | set(
    file_variables(Settings)
)
COMMANDS = set(typer.main.get_command(cli).commands)
# One that ends by itself has nothing to be healthy for.
ONCE = {"migrate", "backup"}


@pytest.fixture(scope="module")
def compose() -> dict:
    text = (ROOT / "docker-compose.yml").read_text()
    # As where none of its variables is set.
    text = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)
    merged = yaml.safe_load(text)
    # By the schema of the Compose specification; it does not know YAML's merge keys.
    PyCompose.from_yaml(yaml.safe_dump(merged))
    return merged


@pytest.fixture(scope="module")
def services(compose) -> dict[str, dict]:
    return compose["services"]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=(ROOT / "Dockerfile").open("rb"))
    return [(i["instruction"], i["value"]) for i in parser.structure]


def test_every_service_is_confined(services):
    assert set(services) == {
        "db", "broker", "migrate", "api", "worker", "proxy", "backup",
    }  # fmt: skip
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} == limits.keys(), name
        assert "tmpfs" in service, name
        assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & service.keys(), name
        assert set(service.get("cap_add", [])) <= {"NET_BIND_SERVICE"}, name


def test_every_lasting_service_says_how_it_is(services):
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in ONCE), name
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
    assert "/health/ready" in " ".join(services["api"]["healthcheck"]["test"])


def test_only_the_proxy_is_reached_and_the_worker_reaches_nothing_outside(compose, services):
    assert [name for name, one in services.items() if "ports" in one] == ["proxy"]
    assert compose["networks"]["back"] == {"internal": True}
    for name, service in services.items():
        outside = {"proxy": ["front"], "api": ["front", "back"]}
        assert service["networks"] == outside.get(name, ["back"]), name
    subnet = compose["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert services["api"]["environment"]["SFUMATO_TRUSTED_PROXIES"] == subnet


def test_two_servers_share_their_transfers(services):
    assert services["api"]["deploy"]["replicas"] == 2
    assert services["api"]["volumes"] == ["transfers:/var/lib/sfumato"]


def test_secrets_come_by_file_alone(compose, services):
    for name, secret in compose["secrets"].items():
        assert secret["file"].endswith("/" + name)
    for service in services.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN", variable):
                assert variable.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), "a URL with a password"
        assert set(service.get("secrets", [])) <= set(compose["secrets"])


def test_secrets_are_made_once(compose, tmp_path):
    folder = tmp_path / "secrets"

    def make() -> dict[str, str]:
        subprocess.run(["sh", str(ROOT / "deploy/secrets.sh"), str(folder)], check=True)
        return {file.name: file.read_text() for file in folder.iterdir()}

    made = make()
    assert make() == made
    assert made.keys() == compose["secrets"].keys()
    assert len(set(made.values())) == len(made)
    assert all(len(text) >= 32 for text in made.values())
    assert folder.stat().st_mode & 0o777 == 0o700


def test_services_use_what_exists(compose, services, instructions):
    stages = {value.split()[-1] for kind, value in instructions if kind == "FROM"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        if "build" in service:
            assert service["build"]["target"] in stages
        ours = [name for name in service.get("environment", {}) if name.startswith("SFUMATO_")]
        assert set(ours) <= VARIABLES
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists()
    gpu = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())
    assert set(gpu["services"]) == {"worker"}
    (device,) = gpu["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_containers_run_commands_that_exist(services, instructions):
    commands = [json.loads(value) for kind, value in instructions if kind == "CMD"]
    commands += [one["command"] for one in services.values() if "command" in one]
    ours = {command[1] for command in commands if command[0] == "sfumato"}
    assert ours == {"serve", "worker", "migrate", "backup"}
    assert ours <= COMMANDS


def test_images_run_without_root_and_copy_what_exists(instructions):
    targets = [i for i, (kind, _) in enumerate(instructions) if kind == "FROM"][-2:]
    for target in targets:
        assert ("USER", "10001:10001") in instructions[target:]
        assert instructions[target][1].split()[0] == "base"
    for kind, value in instructions:
        if kind == "COPY" and not value.startswith("--from"):
            assert all((ROOT / source).exists() for source in value.split()[:-1]), value
    text = (ROOT / "Dockerfile").read_text()
    server = text[text.index("AS build") : text.index("AS worker-files")]
    assert "--group server" in server
    assert not re.search(r"^RUN \$PIP \.$", server, re.MULTILINE)


def test_compose_where_docker_is():
    if (
        shutil.which("docker") is None
        or subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("there is no docker compose here")
    files = ["--file", "docker-compose.yml", "--file", "docker-compose.gpu.yml"]
    subprocess.run(["docker", "compose", *files, "config", "--quiet"], cwd=ROOT, check=True)


def values() -> dict:
    return yaml.safe_load((CHART / "values.yaml").read_text())


def changed(path: str, value: object) -> dict:
    """The chart's values with one of them changed."""
    found = values()
    place = found
    *way, last = path.split(".")
    for name in way:
        place = place[name]
    place[last] = value
    return found


@pytest.fixture(scope="module")
def schema():
    rules = json.loads((CHART / "values.schema.json").read_text())
    Draft7Validator.check_schema(rules)
    return Draft7Validator(rules)


def test_the_charts_values_keep_to_its_schema(schema):
    assert [error.message for error in schema.iter_errors(values())] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("database.url", "postgresql+psycopg://sfumato:secret@db/sfumato"),
        ("database.url", "sqlite:///sfumato.db"),
        ("broker.url", "redis://:secret@broker:6379/0"),
        ("transfers.accessMode", "ReadWriteOnce"),  # with two servers
        ("servers", {"replicas": 3}),
        ("server.replicas", "2"),
        ("ingress.enabled", True),  # without a host
        ("settings.SFUMATO_METRICS_TOKEN", "a-token-that-everybody-reads"),
        ("settings.SFUMATO_SESSION_HOURS", 8),
        ("worker.queues", "train,sort"),
        ("worker.resources.limits", {"cpu": "4"}),
    ],
)
def test_the_schema_refuses(schema, path, value):
    assert list(schema.iter_errors(changed(path, value)))


def test_the_chart_confines_its_pods_and_names_values_that_exist():
    known = values()
    pods = 0
    for template in CHART.glob("templates/*.yaml"):
        text = template.read_text()
        for name in re.findall(r"\.Values\.([a-zA-Z.]+)", text):
            place = known
            for part in name.split("."):
                assert part in place, f"{template.name} asks for {name}"
                place = place[part]
        pods += text.count("containers:")
        assert text.count("containers:") == text.count('include "sfumato.pod"')
        assert text.count("containers:") == text.count('include "sfumato.container"')
        assert text.count("containers:") == text.count("resources:") - text.count("storage: {{")
        for command in re.findall(r'"sfumato", "([a-z]+)"', text):
            assert command in COMMANDS
        assert set(re.findall(r"SFUMATO_[A-Z_]+", text)) <= VARIABLES
    assert pods == 4
    parts = (CHART / "templates/_parts.tpl").read_text()
    for key in ("runAsNonRoot", "readOnlyRootFilesystem"):
        assert f"{key}: true" in parts
    for key in ("allowPrivilegeEscalation", "automountServiceAccountToken"):
        assert f"{key}: false" in parts
    assert "drop: [ALL]" in parts


def test_the_chart_where_helm_is():
    if shutil.which("helm") is None:
        pytest.skip("there is no helm here")
    subprocess.run(["helm", "lint", "--strict", str(CHART)], check=True)
    made = subprocess.run(
        ["helm", "template", "x", str(CHART), "--kube-version", "1.29.0"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert {"Deployment", "Job", "CronJob", "NetworkPolicy"} <= {
        one["kind"] for one in yaml.safe_load_all(made) if one
    }


def unit(path: Path) -> configparser.ConfigParser:
    class Lines(dict):
        """systemd's keys may come several times: their values are put one under another."""

        def __setitem__(self, key, value):
            if key in self and isinstance(value, list):
                value = [*self[key], *value]
            super().__setitem__(key, value)

    read = configparser.ConfigParser(
        strict=False, interpolation=None, dict_type=Lines, delimiters=("=",)
    )
    read.optionxform = str
    read.read_string(path.read_text())
    return read


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.name)
def test_units_are_confined_and_run_commands_that_exist(path):
    service = unit(path)["Service"]
    assert service["User"] == "sfumato"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictSUIDSGID"):
        assert service[key] == "yes", key
    assert {"MemoryMax", "TasksMax", "SystemCallFilter", "UMask"} <= set(service)
    assert service["ExecStart"].split()[1] in COMMANDS
    given = set(re.findall(r"SFUMATO_[A-Z_]+", path.read_text()))
    assert given <= VARIABLES
    credentials = set(re.findall(r"LoadCredential=(\w+):", path.read_text()))
    assert credentials == set(re.findall(r"=%d/(\w+)", path.read_text()))


def test_units_where_systemd_is(tmp_path):
    analyse = shutil.which("systemd-analyze")
    if analyse is None:
        pytest.skip("there is no systemd-analyze here")
    for path in UNITS.glob("*.*"):
        if path.suffix in (".service", ".timer", ".target"):
            name = path.name.replace("@.", "@1.")
            text = path.read_text().replace("/opt/sfumato/bin/sfumato", "/bin/true")
            (tmp_path / name).write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        [analyse, "verify", "--man=no", "--recursive-errors=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Failed to initialize manager" in done.stderr:
        pytest.skip("systemd-analyze cannot look at units here")
    assert (done.returncode, done.stderr) == (0, "")


def test_scripts_are_scripts():
    for script, shell in (("deploy/images.sh", "bash"), ("deploy/secrets.sh", "sh")):
        subprocess.run([shell, "-n", str(ROOT / script)], check=True)
