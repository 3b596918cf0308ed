"""The schema's history: it leads to the models, can be undone, and takes settings along; from 0016
on it only adds, so that an older program works on a newer schema.
"""

import ast
import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import literal_column, select, table, text

from app.core.errors import SchemaTooOld
from app.core.project_settings import training_settings
from app.store import Job, JobState, ModelVersion, Project
from app.store.migrate import changing_schema, check_schema, config, migrate
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


def takes_away(source: str) -> list[str]:
    """What in a migration's `upgrade` an older program could not work with."""
    tree = ast.parse(source)
    [upgrade] = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "upgrade"]
    found = []
    for call in (node for node in ast.walk(upgrade) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        if name == "sa.Column":
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            new_table = any(call in ast.walk(made) for made in calls(upgrade, "op.create_table"))
            optional = given.get("nullable") == "True" or "server_default" in given
            if not new_table and not optional:
                found.append(ast.unparse(call))
        elif name.startswith("op.") and name not in ADDS:
            found.append(name)
    return found


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [node for node in found if ast.unparse(node.func) == name]


ADDS = ("op.create_table", "op.add_column", "op.create_index", "op.execute", "op.f")
BEFORE = 16


def test_what_came_after_0015_only_adds():
    for path in (Path(config().get_main_option("script_location")) / "versions").glob("0*.py"):
        if int(path.name[:4]) >= BEFORE:
            assert takes_away(path.read_text()) == [], path.name


def test_a_migration_that_takes_away_is_seen():
    def upgrade(line: str) -> str:
        return f"def upgrade():\n    {line}\n"

    assert takes_away(upgrade('op.add_column("a", sa.Column("b", sa.Text(), nullable=True))')) == []
    required = 'op.add_column("a", sa.Column("b", sa.Text(), nullable=False))'
    assert len(takes_away(upgrade(required))) == 1
    inside = 'op.create_table("a", sa.Column("b", sa.Text(), nullable=False))'
    assert takes_away(upgrade(inside)) == []
    assert takes_away(upgrade('op.drop_column("a", "b")')) == ["op.drop_column"]
    assert takes_away(upgrade('op.batch_alter_table("a")')) == ["op.batch_alter_table"]


def test_a_program_starts_on_its_own_schema_or_a_newer(database):
    check_schema(database)
    with changing_schema(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    check_schema(database)
    for older in ("'0014'", "'0001'"):
        with changing_schema(database) as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = {older}"))
        with pytest.raises(SchemaTooOld, match="run `sfumato migrate`"):
            check_schema(database)
