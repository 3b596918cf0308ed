"""A package of others, installed where server and worker run: each of its things does its part."""

import subprocess
import sys

import numpy as np
import pytest
from sqlalchemy import select

from app.core.errors import InvalidInput
from app.importing import ImportOptions
from app.loop import capabilities
from app.loop.access import HERE
from app.loop.projects import find_project
from app.loop.truths import truths
from app.store import Job, JobState, ModelVersion, QueryItem, Role, Round, Score
from app.transfers.terminal import import_data_set
from tests.plugins import EXAMPLE, installed, write_package
from tests.worker.projects import runner
from worker.tasks import report_capabilities

SETTINGS = ["training.network=tiny", "training.epochs=3", "training.learning_rate=0.01"]


@pytest.fixture
def pairs(tmp_path):
    """Four cases as arrays, which only the package's layout can read."""
    rng = np.random.default_rng(0)
    for n in range(4):
        marks = np.zeros((4, 16, 16), dtype=np.uint8)
        marks[:, 3:9, 4:12] = 1
        image = rng.integers(0, 50, marks.shape).astype(np.uint8) + 150 * marks
        np.save(tmp_path / f"c{n}.image.npy", image)
        np.save(tmp_path / f"c{n}.mask.npy", marks)
    return tmp_path


@pytest.mark.parametrize(
    ("strategy", "streams"),
    [("tsallis-selective", {"target", "boundary"}), ("one-a-case", {"one a case"})],
)
def test_a_measure_a_strategy_a_layout_and_a_network_work_in_the_service(
    api, pairs, strategy, streams
):
    with installed(EXAMPLE):
        report_capabilities(api.database, "worker-1", ("train", "score"), api.settings)
        options = ImportOptions(
            masks="oracle",
            validation=0.0,
            test=0.0,
            assignments=[*SETTINGS, "query.size=4", f"query.strategy={strategy}"],
        )
        assert import_data_set(api.database, "npy-pairs", pairs, "p", options).new_slices == 16
        ann = api.as_("ann", Role.ADMIN)
        with api.database.reading() as session:
            answers = truths(session, find_project(session, HERE, "p", Role.ADMIN).id)
        for item in ann.get("/query/next", params={"size": 4}).json()["items"]:
            ann.post(f"/slices/{item['slice']}/masks", content=answers[item["slice"]])
        runner(api.database).work()
        with api.database.reading() as session:
            job = session.scalars(select(Job).where(Job.parent_id.is_(None))).one()
            assert job.state is JobState.SUCCEEDED, job.error
            assert session.scalars(select(ModelVersion)).one().architecture["name"] == "tiny"
            assert "tsallis" in set(session.scalars(select(Score.measure)))
            opened = select(Round.id).where(Round.model_id.is_not(None))
            asked = session.scalars(
                select(QueryItem.stream).where(QueryItem.round_id.in_(opened))
            ).all()
        assert len(asked) == 4
        assert set(asked) == streams
        suggested = ann.get("/query/next").json()["items"][0]
        assert ann.get(suggested["uncertainty"]).status_code == 200


def test_a_retraining_that_no_worker_could_do_is_refused(api, pairs):
    with installed(EXAMPLE):
        options = ImportOptions(masks="pool", validation=0.0, test=0.0, assignments=SETTINGS)
        import_data_set(api.database, "npy-pairs", pairs, "p", options)
    # The package is gone, from here and from the workers.
    refused = api.as_("root", Role.ADMIN).post("/jobs", json={"project": "p"})
    assert refused.status_code == 422
    assert "no network 'tiny'" in refused.json()["detail"]


def test_the_server_offers_a_package_without_loading_it_or_torch():
    code = (
        "import sys\n"
        "from app.core import catalogue\n"
        "from app.main import create_app\n"
        "assert 'tsallis-selective' in catalogue.names('strategy')\n"
        "assert 'tiny' in catalogue.names('network')\n"
        "assert not {'torch', 'worker', 'sfumato_example'} & set(sys.modules)\n"
    )
    with installed(EXAMPLE):
        ran = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr


def test_a_package_that_cannot_be_loaded_is_shown_and_refused_with_its_reason(api, tmp_path):
    write_package(
        tmp_path,
        {"broken": "import a_library_that_is_not_there\n"},
        "[sfumato.strategies]\nbroken = broken:STRATEGY\n",
    )
    admin = api.as_("root", Role.ADMIN)
    with installed(tmp_path):
        report_capabilities(api.database, "worker-1", ("train",), api.settings)
        entries = {e["name"]: e for e in admin.get("/catalogue").json()["strategies"]}
        assert "a_library_that_is_not_there" in entries["broken"]["error"]
        assert entries["entropy-selective"]["error"] is None
        refused = admin.post("/projects", json={"name": "p", "query": {"strategy": "broken"}})
    assert refused.status_code == 422
    assert "a_library_that_is_not_there" in refused.json()["detail"]
    with api.database.writing() as session:
        capabilities.forget_worker(session, "worker-1")
    assert "broken" not in {e["name"] for e in admin.get("/catalogue").json()["strategies"]}


def test_a_network_that_cannot_do_its_part_is_refused_for_a_project_and_an_import(
    api, pairs, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("package")
    code = (
        "from torch import nn\n"
        "from sfumato import Network\n"
        "class Eighths(Network):\n"
        "    accepts = {'width': range(8, 129, 8)}\n"
        "    def __init__(self, classes, **options):\n"
        "        super().__init__(classes, **options)\n"
        "        self.layer = nn.Conv2d(self.planes, self.logits, 3, padding=1)\n"
        "    def prefix(self, image): return (image,)\n"
        "    def suffix(self, features): return self.layer(features[-1])\n"
        "class Halved(Eighths):\n"
        "    def suffix(self, features): return super().suffix(features)[:, :, ::2]\n"
    )
    points = "[sfumato.networks]\neighths = eighths:Eighths\nhalved = eighths:Halved\n"
    write_package(folder, {"eighths": code}, points)
    options = {"masks": "oracle", "validation": 0.0, "test": 0.0}
    with installed(EXAMPLE), installed(folder):
        report_capabilities(api.database, "worker-1", ("train",), api.settings)
        for network, words in (("halved", "it gives logits of"), ("eighths", "8, 16, 24 … 128")):
            training = {"network": network, "width": 12}
            admin = api.as_("root", Role.ADMIN)
            refused = admin.post("/projects", json={"name": "p", "training": training})
            assert refused.status_code == 422
            assert words in refused.json()["detail"]
            assignments = [f"training.network={network}", "training.width=12"]
            asked = ImportOptions(**options, assignments=assignments)
            with pytest.raises(InvalidInput, match=words):
                import_data_set(api.database, "npy-pairs", pairs, "p", asked)
