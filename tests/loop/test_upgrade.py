"""A data folder of the version before channels and blobs: it upgrades, loses nothing, goes on."""

import hashlib
from datetime import UTC, datetime

import nibabel as nib
import numpy as np
import pytest
import torch
from alembic import command
from sqlalchemy import MetaData, Table, create_engine, func, make_url, select, text

from app.core.geometry import Geometry
from app.core.prepared import prepare_mask
from app.exporting import export_project
from app.loop import models
from app.loop.access import HERE, Reader
from app.loop.masks import submit_mask
from app.loop.projects import find_project
from app.loop.readings import pixels_of as masks_of
from app.loop.slice_views import list_slices
from app.loop.slices import slice_image
from app.loop.suggestions import find_suggestion
from app.loop.truths import truths
from app.store import (
    Account,
    Case,
    Database,
    Image,
    Mask,
    ModelVersion,
    Role,
    Round,
    blobs,
    utc_now,
)
from app.store.migrate import config, migrate
from tests.conftest import TTL, mask, pixels_of, png_of
from tests.worker.projects import runner
from worker.segmentation import weights
from worker.segmentation.networks.unet import UNet

BEFORE = "0003"
NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)
# Of the file: columns to the back, rows to the left, and a shift; voxels of 2 × 1 × 4 mm.
AFFINE = [[0.0, -1.0, 0.0, 50.0], [-2.0, 0.0, 0.0, 60.0], [0.0, 0.0, 4.0, -30.0], [0, 0, 0, 1]]
SHAPE = [32, 32, 3]


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def old(database_url):
    """The URL of a database with the tables and a few rows of before."""
    if database_url.startswith("postgresql"):
        base = make_url(database_url)
        server = create_engine(base.set(database="postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {base.database} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {base.database}"))
        server.dispose()
    else:
        path = make_url(database_url).database
        database_url = database_url.replace(path, f"{path}.old")
    engine = Database(database_url).engine
    with engine.begin() as connection:
        alembic = config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, BEFORE)
        fill(connection)
    engine.dispose()
    return database_url


def fill(connection) -> None:
    tables = MetaData()

    def add(table, **values):
        kept = Table(table, tables, autoload_with=connection)
        connection.execute(kept.insert().values(values))

    add("accounts", id=1, name="ann", role="annotator", created_at=NOW)
    add("tokens", id=1, account_id=1, sha256="0" * 64, created_at=NOW)
    add(
        "projects",
        id=1,
        name="brain",
        classes=["background", "lesion"],
        query={"strategy": "entropy-selective", "size": 2, "seed": 0},
        training={"width": 2, "epochs": 1, "batch_size": 4},
        created_at=NOW,
    )
    source = {"file": "a.nii.gz", "shape": SHAPE, "affine": AFFINE, "slope": 0.5, "intercept": -3.0}
    number = 0
    for case_id, (name, of_case) in enumerate({"a": source, "b": {}, "c": source}.items(), start=1):
        add(
            "cases",
            id=case_id,
            project_id=1,
            name=name,
            split="pool",
            source=of_case,
            created_at=NOW,
        )
        for index in range(3):
            number += 1
            png = old_picture(number)
            values = pixels_of(png).astype(float)
            add(
                "slices",
                id=number,
                project_id=1,
                case_id=case_id,
                split="pool",
                index=index,
                height=32,
                width=32,
                bits=16,
                upload_sha256=sha(b"upload"),
                sha256=sha(png),
                mean=float(values.mean()),
                mean_square=float((values**2).mean()),
                set_aside=False,
                created_at=NOW,
            )
            add("slice_images", slice_id=number, png=png)
            add("truths", slice_id=number, png=mask(corner=number))
    for mask_id, slice_id in ((1, 1), (2, 4)):
        png = mask(corner=5 + slice_id)
        add(
            "masks",
            id=mask_id,
            slice_id=slice_id,
            author_id=1,
            revision=1,
            source="human",
            late=False,
            seconds=12.5,
            foreground_pixels=(5 + slice_id) ** 2,
            upload_sha256=sha(png),
            sha256=sha(png),
            review_state="pending",
            created_at=NOW,
            png=png,
        )
        add("labels", slice_id=slice_id, mask_id=mask_id)
    add(
        "jobs",
        id=1,
        project_id=1,
        kind="retrain",
        queue="train",
        step="select",
        state="succeeded",
        payload={},
        progress={},
        attempt=3,
        lost=0,
        announcements=0,
        cancel_requested=False,
        created_at=NOW,
    )
    add(
        "models",
        id=1,
        project_id=1,
        number=1,
        job_id=1,
        architecture={"name": "unet", "classes": 2, "width": 2, "dropout": 0.5},
        mask_ids=[1, 2],
        scores={"labelled": 2},
        seed=7,
        seconds=1.0,
        created_at=NOW,
        weights=old_weights(),
    )
    figures = {"nearest": 0.75}
    for round_id, state, model in ((1, "closed", None), (2, "open", 1)):
        add(
            "rounds",
            id=round_id,
            project_id=1,
            number=round_id,
            strategy="entropy-selective",
            settings={},
            model_id=model,
            state=state,
            figures=figures if model else {},
            created_at=NOW,
        )
    for item_id, (round_id, slice_id) in enumerate(((1, 1), (1, 4), (2, 2), (2, 7)), start=1):
        add(
            "query_items",
            id=item_id,
            round_id=round_id,
            slice_id=slice_id,
            rank=item_id,
            stream="target",
        )
    mask_png, uncertainty_png = mask(corner=3), mask(corner=9)
    add(
        "suggestions",
        model_id=1,
        slice_id=2,
        mask_png=mask_png,
        uncertainty_png=uncertainty_png,
    )
    features = np.zeros(32, dtype="<f2").tobytes()
    add("predictions", model_id=1, slice_id=2, foreground_pixels=4, features=features)
    if connection.dialect.name == "postgresql":
        for table in tables.tables.values():
            if "id" in table.c:
                connection.execute(text(f"SELECT setval('{table.name}_id_seq', 100)"))


def old_picture(number: int) -> bytes:
    rng = np.random.default_rng(number)
    return png_of(rng.integers(0, 4096, (32, 32)).astype(np.uint16))


def old_weights() -> bytes:
    torch.manual_seed(0)
    return weights.dump(UNet(2, width=2).state_dict())


@pytest.fixture
def upgraded(old):
    database = Database(old, lock_timeout_seconds=5)
    migrate(database)
    yield database
    database.dispose()


def test_an_old_data_folder_keeps_every_picture_mask_truth_and_weight(upgraded):
    with upgraded.reading() as session:
        for number in range(1, 10):
            assert slice_image(session, HERE, number, None) == (
                old_picture(number),
                sha(old_picture(number)),
            )
        kept = session.scalars(select(Mask).order_by(Mask.id)).all()
        for one, pixels in zip(kept, masks_of(session, kept), strict=True):
            np.testing.assert_array_equal(pixels, pixels_of(mask(corner=5 + one.slice_id)))
            assert (one.origin, one.seconds) == (None, 12.5)
        assert truths(session, 1) == {n: mask(corner=n) for n in range(1, 10)}
        model = session.get_one(ModelVersion, 1)
        assert models.weights_of(session, model) == old_weights()
        weights.restore(model.architecture, models.weights_of(session, model))
        suggested = find_suggestion(session, HERE, 2)
        assert blobs.get(session, suggested.mask_sha256) == mask(corner=3)
        assert blobs.get(session, suggested.uncertainty_sha256) == mask(corner=9)
        assert session.get_one(Round, 2).nearest == 0.75
        page = list_slices(session, find_project(session, HERE, None, Role.ADMIN), None, None, 20)
        assert [view.channels[0].name for view in page.items] == ["image"] * 9


def test_an_old_case_knows_where_it_lies_where_its_file_said_so(upgraded):
    with upgraded.reading() as session:
        a, b, _ = session.scalars(select(Case).order_by(Case.id)).all()
        assert b.affine is None
        geometry = Geometry.of_list(a.affine)
        image = session.get_one(Image, (1, 0))
    stored = pixels_of(old_picture(1)).astype(float)
    assert (image.slope, image.intercept) == (0.5, -3.0)
    assert image.mean == pytest.approx((stored * 0.5 - 3).mean())
    assert image.mean_square == pytest.approx(((stored * 0.5 - 3) ** 2).mean())
    # Shown as radiologists look at it; a voxel lies where the file's own affine puts it.
    edges = geometry.edges
    assert (edges.left, edges.right, edges.top, edges.bottom) == ("R", "L", "A", "P")
    assert (geometry.spacing.row, geometry.spacing.column, geometry.spacing.slice) == (2, 1, 4)
    corner = nib.affines.apply_affine(np.array(AFFINE), [0, 0, 2])
    np.testing.assert_allclose(geometry.position(0, 0, 2), corner)


def test_an_old_project_goes_on(upgraded, tmp_path):
    from app.loop.next_batch import next_batch

    with upgraded.writing() as session:
        project, ann = find_project(session, HERE, "brain", Role.ADMIN), session.get_one(Account, 1)
        batch = next_batch(session, project, ann, 5, utc_now(), TTL)
        assert [handed.slice.id for handed in batch.items] == [2, 7]
        for handed in batch.items:
            drawn = prepare_mask(pixels_of(mask(corner=6)))
            submit_mask(session, Reader(ann), handed.slice.id, drawn, utc_now())
    assert runner(upgraded).work() == 3
    with upgraded.reading() as session:
        second = session.scalars(select(ModelVersion).where(ModelVersion.number == 2)).one()
        # The old network, which knew of no channels, is the new one's parent.
        assert second.parent_id == 1
        assert session.scalar(select(func.max(Round.number))) == 3
    export_project(upgraded, "brain", tmp_path / "out")
    # Case a goes back to the order, the place and the values of its file.
    again = nib.load(tmp_path / "out" / "imagesTr" / "a.nii.gz")
    assert again.shape == tuple(SHAPE)
    np.testing.assert_array_equal(again.affine, AFFINE)
    stack = np.stack([pixels_of(old_picture(n)) * 0.5 - 3 for n in (1, 2, 3)])
    assert sorted(np.unique(again.get_fdata())) == sorted(np.unique(stack))
