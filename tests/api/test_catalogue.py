"""What may be asked for by name, and who can answer for it."""

from app.loop.capabilities import forget_worker, report_worker
from app.store import Role, utc_now
from tests.conftest import problem_of
from tests.plugins import EXAMPLE, installed


def report(api, name, **capabilities):
    with api.database.writing() as session:
        report_worker(session, name, ["train"], capabilities, utc_now())


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
