"""What may be asked for by name, and who can answer for it."""

from app.loop.capabilities import forget_worker, report_worker
from app.store import Role, utc_now
from tests.conftest import problem_of
from tests.plugins import EXAMPLE, installed


def report(api, name, limits=None, **capabilities):
    """A worker that knows these, and the recipe that a project has if it names none."""
    capabilities = {"recipe": {"robust": None}, **capabilities}
    with api.database.writing() as session:
        report_worker(session, name, ["train"], capabilities, utc_now(), limits or {})


def ask_for(admin, name="p", **settings):
    return admin.post("/projects", json={"name": name, **settings})


def test_the_catalogue_lists_ours_and_what_packages_add(api):
    with installed(EXAMPLE):
        found = api.as_("ann").get("/catalogue").json()
    named = {kind: {e["name"]: e for e in entries} for kind, entries in found.items()}
    assert {"entropy", "bald", "tsallis"} <= named["measures"].keys()
    assert {"random", "entropy-selective", "tsallis-selective", "one-a-case"} <= (
        named["strategies"].keys()
    )
    assert {"msd", "brats", "nifti", "dicom", "png", "npy-pairs"} <= named["layouts"].keys()
    assert {"decathlon", "nnunet", "nifti", "dicom-seg", "dicom-labelmap", "coco", "png"} == (
        named["writers"].keys()
    )
    assert {"unet", "tiny"} <= named["networks"].keys()
    assert named["networks"]["tiny"]["package"] == "sfumato-example"
    assert named["streams"]["boundary"]["words"]
    assert all(e["error"] is None for entries in found.values() for e in entries)


def test_an_unknown_name_is_refused_in_words(api):
    admin = api.as_("root", Role.ADMIN)
    for settings in ({"query": {"strategy": "entrpy"}}, {"training": {"network": "unett"}}):
        refused = ask_for(admin, **settings)
        assert refused.status_code == 422
        assert "choose one of" in problem_of(refused)["detail"]
    assert ask_for(admin).status_code == 201
    change = admin.patch("/projects/p", json={"query": {"strategy": "entrpy"}})
    assert change.status_code == 422


def test_what_no_worker_can_load_is_refused_with_the_reason(api):
    admin = api.as_("root", Role.ADMIN)
    known = {"strategy": {"random": None, "entropy": "no torch here"}, "network": {"unet": None}}
    report(api, "w1", **known)
    refused = ask_for(admin, query={"strategy": "entropy"})
    assert refused.status_code == 422
    assert "no torch here" in problem_of(refused)["detail"]
    absent = ask_for(admin, query={"strategy": "bald"})
    assert absent.status_code == 422
    assert "no running worker has the strategy 'bald'" in problem_of(absent)["detail"]
    entries = {e["name"]: e for e in admin.get("/catalogue").json()["strategies"]}
    assert entries["entropy"]["error"] == "no torch here"
    # One that can is enough.
    report(api, "w2", strategy={"entropy": None}, network={"unet": None})
    assert ask_for(admin, query={"strategy": "entropy"}).status_code == 201


def test_a_name_that_only_workers_know_is_accepted_and_other_settings_can_still_be_changed(api):
    admin = api.as_("root", Role.ADMIN)
    report(api, "w1", strategy={"mine": None}, network={"unet": None})
    assert ask_for(admin, query={"strategy": "mine"}).status_code == 201
    assert "mine" in {e["name"] for e in admin.get("/catalogue").json()["strategies"]}
    with api.database.writing() as session:
        forget_worker(session, "w1")
    # Its package is gone, and the project can still be looked at and changed otherwise.
    assert admin.patch("/projects/p", json={"query": {"size": 7}}).status_code == 200
    assert admin.patch("/projects/p", json={"query": {"strategy": "mine-too"}}).status_code == 422


def test_settings_that_a_network_does_not_take_are_refused_wherever_they_come_from(api):
    admin = api.as_("root", Role.ADMIN)
    known = {"strategy": {"entropy-selective": None}, "network": {"unet": None, "mine": None}}
    report(api, "w1", {"mine": {"width": range(8, 65, 8), "channels": range(1, 3)}}, **known)
    eighths = {"network": "mine", "width": 16}
    for settings, words in (
        ({"training": {**eighths, "width": 12}}, "takes 8, 16, 24 … 64 for training.width, not 12"),
        ({"training": eighths, "channels": ["t1", "t2", "flair"]}, "1 or 2 for the number of ch"),
    ):
        refused = ask_for(admin, **settings)
        assert refused.status_code == 422
        assert words in problem_of(refused)["detail"]
    assert ask_for(admin, training=eighths).status_code == 201
    change = admin.patch("/projects/p", json={"training": {"width": 20}})
    assert change.status_code == 422
    assert "not 20" in problem_of(change)["detail"]
    # Whatever else is changed, the network is as it was; another network has no such limits.
    assert admin.patch("/projects/p", json={"training": {"epochs": 7}}).status_code == 200
    other = {"network": "unet", "width": 20}
    assert admin.patch("/projects/p", json={"training": other}).status_code == 200
    # One worker whose network takes them is enough.
    report(api, "w2", **known)
    again = {"network": "mine", "width": 20}
    assert admin.patch("/projects/p", json={"training": again}).status_code == 200
