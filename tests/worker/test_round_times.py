"""What a retraining's seconds went to, from what workers note."""

from app.cli.tables import print_times
from app.loop.round_times import RoundTime, round_times, share_of_steps
from app.store import Job, JobKind, ModelVersion, Project
from tests.worker.projects import job_of, label_batch, make_project, runner
from worker.segmentation.clock import Clock


def test_a_clock_counts_each_second_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("worker.segmentation.clock.time.perf_counter", lambda: now[0])
    clock = Clock()

    def reading():
        for item in range(2):
            now[0] += 3
            yield item

    with clock.part("scoring"):
        now[0] += 1
        for _ in clock.each("reading", reading()):
            now[0] += 10
    now[0] += 100
    assert clock.seconds == {"scoring": 21.0, "reading": 6.0}


def test_a_retraining_notes_what_its_seconds_went_to_and_what_computed_it(database, capsys):
    project = make_project(database)
    label_batch(database, project)
    runner(database).work()
    with database.writing() as session:
        model = session.query(ModelVersion).one()
        model.scores = {**model.scores, "seconds": {"training steps": 0.001}}
    with database.reading() as session:
        (found,) = round_times(session, session.get_one(Project, project.id))
        (shard,) = session.query(Job).where(Job.kind == JobKind.SCORE)
    assert {"training steps", "reading", "scoring", "selecting", "suggestions"} <= set(found.parts)
    assert found.machines == [shard.progress["machine"]] == job_of(database).progress["machines"]
    print_times([found])
    said = capsys.readouterr().out
    assert "training steps: 0 %" in said
    assert f"computed with {found.machines[0]}" in said


def test_workers_that_compute_in_different_ways_are_told(capsys):
    parts = {"training steps": 6.0, "scoring": 2.0}
    times = [RoundTime(1, 10.0, parts, ["AVX2/2 threads/float32", "AVX2/2 threads/bfloat16"])]
    assert share_of_steps(times) == 0.6
    print_times(times)
    assert "different ways" in capsys.readouterr().out
    assert share_of_steps([RoundTime(1, 10.0, {"training": 6.0}, [])]) is None
