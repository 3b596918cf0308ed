"""A small project and the worker that turns its loop, for the tests of the steps."""

import numpy as np
from sqlalchemy import func, select

from app.core.project_settings import ProjectSettings, QuerySettings, TrainingSettings
from app.core.splits import Split
from app.loop import claims
from app.loop.projects import create_project
from app.settings import Settings
from app.store import (
    Database,
    Job,
    Project,
    utc_now,
)
from tests.conftest import RecordingDispatcher
from tests.loop.test_leases import annotator, ask, draw, slices_of
from worker.runner import Runner


def make_project(database: Database, classes=("background", "lesion"), **query) -> Project:
    """Four pool cases and one test case, three slices each, bright squares on noise."""
    from app.core.prepared import prepare_image, prepare_mask
    from app.loop.masks import add_imported_masks
    from app.loop.slices import add_slice, ensure_case

    settings = ProjectSettings(
        classes=list(classes),
        query=QuerySettings(**{"size": 3, **query}),
        training=TrainingSettings(width=2, epochs=2, batch_size=4, learning_rate=0.01),
    )
    rng = np.random.default_rng(0)
    with database.writing() as session:
        project = create_project(session, "p", settings)
        for c in range(5):
            split = Split.TEST if c == 4 else Split.POOL
            case = ensure_case(session, project, f"case-{c}", split)
            for index in range(3):
                image = rng.integers(0, 900, (32, 32))
                image[4:12, 6:14] += 2000
                image = prepare_image(image.astype(np.uint16))
                slice_ = add_slice(session, case, index, {0: image}).slice
                if split is Split.TEST:
                    marks = np.zeros((32, 32), dtype=np.uint8)
                    marks[4:12, 6:14] = 1
                    add_imported_masks(session, {slice_.id: prepare_mask(marks)})
    return project


def label_batch(database: Database, project: Project) -> None:
    one = annotator(database, "one")
    for slice_id in slices_of(ask(database, project, one, 50, utc_now())):
        draw(database, one, slice_id, utc_now())


def runner(database: Database, **settings) -> Runner:
    return Runner(
        database, RecordingDispatcher(), Settings(**settings), claims.QUEUES, name="test-worker"
    )


def count(database: Database, model) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def job_of(database: Database) -> Job:
    with database.reading() as session:
        return session.scalars(
            select(Job).where(Job.parent_id.is_(None)).order_by(Job.id.desc())
        ).first()
