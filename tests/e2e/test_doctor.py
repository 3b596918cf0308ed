"""`sfumato doctor` as a command: words for people, JSON for programs, and how it ends."""

import json

from tests.e2e.test_up import sfumato

AWAY = {"SFUMATO_DATABASE_URL": "postgresql+psycopg://nobody:secret@127.0.0.1:9/none"}


def test_what_is_wrong_is_told_and_ends_with_1(tmp_path):
    told = sfumato("doctor", "--data", tmp_path, given=AWAY)
    assert told.returncode == 1
    assert "cannot be reached" in " ".join(told.stdout.split())
    assert "1 wrong" in told.stdout
    for text in (told.stdout, told.stderr):
        assert "Traceback" not in text
        assert "secret" not in text


def test_programs_get_json_also_of_settings_that_cannot_be_read(tmp_path):
    for given, about in ((AWAY, "database"), ({"SFUMATO_PORT": "many"}, "settings")):
        told = sfumato("doctor", "--json", "--data", tmp_path, given=given)
        assert told.returncode == 1
        found = json.loads(told.stdout)
        [one] = [one for one in found if one["state"] == "wrong"]
        assert one.keys() == {"about", "state", "words", "advice"}
        assert (one["about"], bool(one["advice"])) == (about, True)


def test_an_installation_that_works_ends_with_0(tmp_path):
    assert sfumato("migrate", "--data", tmp_path).returncode == 0
    told = sfumato("doctor", "--data", tmp_path)
    assert told.returncode == 0, told.stdout
    assert "0 wrong" in told.stdout
    assert "run chmod o-rwx" in " ".join(told.stdout.split()) or "is kept from" in told.stdout
