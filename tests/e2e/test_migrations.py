"""The schema's history: it leads to the models, can be undone, and takes settings along."""

import json

from alembic import command
from sqlalchemy import literal_column, select, table

from app.core.project_settings import training_settings
from app.store import Job, JobState, ModelVersion, Project
from app.store.migrate import changing_schema, config, migrate
from tests.worker.projects import make_project


def downgrade(database, to: str) -> None:
    with changing_schema(database) as connection:
        alembic = config()
        alembic.attributes["connection"] = connection
        command.downgrade(alembic, to)


def test_migrations_lead_to_the_models_on_both_databases(database):
    with database.engine.connect() as connection:
        alembic = config()
        alembic.attributes["connection"] = connection
        command.check(alembic)


def test_migrations_can_be_undone(database):
    downgrade(database, "base")
    migrate(database)


def test_a_project_of_recipes_is_the_papers_to_an_older_version(database):
    project = make_project(database)
    with database.writing() as session:
        for number, held_back in ((1, None), (2, "worse"), (3, "worse")):
            job = Job(project_id=project.id, kind="retrain", queue="train", step="train")
            job.state = JobState.SUCCEEDED
            session.add(job)
            session.flush()
            session.add(
                ModelVersion(
                    project_id=project.id,
                    number=number,
                    job_id=job.id,
                    architecture={},
                    mask_ids=[],
                    scores={},
                    seed=0,
                    seconds=1.0,
                    weights_sha256="",
                    held_back=held_back,
                )
            )
        kept = session.get_one(Project, project.id)
        kept.training = {**kept.training, "recipe": "robust", "learning_rate": None, "steps": 5}
    downgrade(database, "0006")
    with database.engine.connect() as connection:
        training = connection.scalar(
            select(literal_column("training")).select_from(table("projects"))
        )
        found = json.loads(training) if isinstance(training, str) else training
        assert not {"recipe", "steps", "members"} & found.keys()
        assert found["learning_rate"] == 1e-4
        of_models = [literal_column(name) for name in ("number", "promoted_at")]
        rows = connection.execute(select(*of_models).select_from(table("models"))).all()
        assert {number for number, promoted_at in rows if promoted_at} == {1}
    migrate(database)
    with database.reading() as session:
        assert training_settings(session.get_one(Project, project.id)).recipe == "paper"
