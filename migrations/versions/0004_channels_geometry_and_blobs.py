"""Channels and geometry; bytes in one place; how masks came about; workers.

What was stored before has one channel, ``image``. Moments were of stored integers and become those
of the file's values. Where a case lies is worked out from its NIfTI header; earlier DICOM imports
did not keep enough for that.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CASES = sa.table("cases", sa.column("id", sa.Integer), sa.column("affine", sa.JSON))
_ROUNDS = sa.table("rounds", sa.column("id", sa.Integer), sa.column("figures", sa.JSON))
_PUT = "INSERT INTO blobs (sha256, data) VALUES (:sha256, :data) ON CONFLICT DO NOTHING"
# Columns of bytes that move to the blobs: table, its keys, bytes, the name's column; and whether
# the name was there before.
_MOVED = (
    ("masks", ("id",), "png", "sha256", True),
    ("truths", ("slice_id",), "png", "sha256", False),
    ("models", ("id",), "weights", "weights_sha256", False),
    ("suggestions", ("model_id", "slice_id"), "mask_png", "mask_sha256", False),
    ("suggestions", ("model_id", "slice_id"), "uncertainty_png", "uncertainty_sha256", False),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blobs")),
    )
    op.create_table(
        "images",
        sa.Column("slice_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("upload_sha256", sa.String(length=64), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("offset", sa.Integer(), nullable=False),
        sa.Column("slope", sa.Double(), nullable=False),
        sa.Column("intercept", sa.Double(), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=True),
        sa.Column("mean", sa.Double(), nullable=False),
        sa.Column("mean_square", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["slice_id"], ["slices.id"], name=op.f("fk_images_slice_id")),
        sa.PrimaryKeyConstraint("slice_id", "channel", name=op.f("pk_images")),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("queues", sa.JSON(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "slice_features",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("slice_id", sa.Integer(), nullable=False),
        sa.Column("foreground_pixels", sa.Integer(), nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_slice_features_model_id")
        ),
        sa.ForeignKeyConstraint(
            ["slice_id"], ["slices.id"], name=op.f("fk_slice_features_slice_id")
        ),
        sa.PrimaryKeyConstraint("model_id", "slice_id", name=op.f("pk_slice_features")),
    )
    columns = "model_id, slice_id, foreground_pixels, features"
    op.execute(f"INSERT INTO slice_features ({columns}) SELECT {columns} FROM predictions")
    op.drop_table("predictions")
    op.add_column(
        "projects", sa.Column("channels", sa.JSON(), nullable=False, server_default='["image"]')
    )
    op.add_column("cases", sa.Column("affine", sa.JSON(), nullable=True))
    op.add_column(
        "slices", sa.Column("complete", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    _move_images()
    op.drop_table("slice_images")
    for column in ("bits", "upload_sha256", "sha256", "mean", "mean_square"):
        op.drop_column("slices", column)
    for table, keys, data, name, named in _MOVED:
        if not named:
            op.add_column(
                table, sa.Column(name, sa.String(length=64), nullable=False, server_default="")
            )
        _move_bytes(table, keys, data, name, named)
        op.drop_column(table, data)
    op.add_column("masks", sa.Column("origin", sa.String(length=20), nullable=True))
    # Written out: SQLite adds a reference only together with its column.
    op.execute(
        "ALTER TABLE masks ADD COLUMN suggestion_model_id INTEGER "
        "CONSTRAINT fk_masks_suggestion_model_id REFERENCES models (id)"
    )
    op.execute("UPDATE masks SET origin = 'imported' WHERE source = 'import'")
    op.execute("UPDATE masks SET origin = 'computed' WHERE source = 'consensus'")
    op.add_column("rounds", sa.Column("nearest", sa.Double(), nullable=True))
    op.add_column("rounds", sa.Column("exploring", sa.Text(), nullable=True))
    _each_json("rounds", "figures", "nearest", lambda figures: figures.get("nearest"))
    op.drop_column("rounds", "figures")


def _move_images() -> None:
    connection = op.get_bind()
    op.execute(
        "INSERT INTO blobs (sha256, data) SELECT s.sha256, i.png FROM slice_images i "
        "JOIN slices s ON s.id = i.slice_id WHERE true ON CONFLICT DO NOTHING"
    )
    op.execute(
        'INSERT INTO images (slice_id, channel, sha256, upload_sha256, bits, "offset", slope, '
        "intercept, mean, mean_square) SELECT s.id, 0, s.sha256, s.upload_sha256, s.bits, 0, "
        "1.0, 0.0, s.mean, s.mean_square FROM slices s JOIN slice_images i ON i.slice_id = s.id"
    )
    for case_id, source in connection.execute(sa.text("SELECT id, source FROM cases")).all():
        source = json.loads(source) if isinstance(source, str) else source
        slope, intercept = source.get("slope", 1.0), source.get("intercept", 0.0)
        if (slope, intercept) != (1.0, 0.0):
            connection.execute(
                sa.text(
                    "UPDATE images SET slope = :slope, intercept = :intercept, mean_square = "
                    ":slope * :slope * mean_square + 2 * :slope * :intercept * mean "
                    "+ :intercept * :intercept, mean = :slope * mean + :intercept "
                    "WHERE slice_id IN (SELECT id FROM slices WHERE case_id = :case)"
                ),
                {"slope": float(slope), "intercept": float(intercept), "case": case_id},
            )
        affine = _stack_affine(source)
        if affine is not None:
            connection.execute(
                _CASES.update().where(_CASES.c.id == case_id).values(affine=affine.tolist())
            )


def _stack_affine(source: dict[str, Any]) -> npt.NDArray[np.float64] | None:
    """From (column, row, slice) of the axial stack to mm, as these cases were read from NIfTI."""
    if "affine" not in source or "shape" not in source:
        return None
    affine = np.array(source["affine"], dtype=float)
    shape = (*source["shape"], 1, 1)[:3]
    orientation = nib.orientations.io_orientation(affine)
    if not np.isfinite(orientation).all() or not np.isfinite(affine).all():
        return None
    canonical = affine @ nib.orientations.inv_ornt_aff(orientation, shape)
    across, along = (int(n) for n in _canonical_shape(orientation, shape))
    # The stack ran from the right and from the front.
    flipped = np.array(
        [[-1.0, 0, 0, across - 1], [0, -1.0, 0, along - 1], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    placed: npt.NDArray[np.float64] = canonical @ flipped
    return placed


def _canonical_shape(orientation: npt.NDArray[Any], shape: tuple[int, ...]) -> list[int]:
    found = [0, 0, 0]
    for axis, (to, _) in enumerate(orientation):
        found[int(to)] = shape[axis]
    return found[:2]


def _move_bytes(table: str, keys: tuple[str, ...], data: str, name: str, named: bool) -> None:
    """A row at a time: weights are large, and none may be in memory twice."""
    connection = op.get_bind()
    where = " AND ".join(f"{key} = :{key}" for key in keys)
    rows = connection.execute(sa.text(f"SELECT {', '.join(keys)} FROM {table}")).all()
    for row in rows:
        found = dict(zip(keys, row, strict=True))
        body, known = connection.execute(
            sa.text(f"SELECT {data}, {name} FROM {table} WHERE {where}"), found
        ).one()
        body = bytes(body)
        sha256 = known if named else hashlib.sha256(body).hexdigest()
        connection.execute(sa.text(_PUT), {"sha256": sha256, "data": body})
        if not named:
            connection.execute(
                sa.text(f"UPDATE {table} SET {name} = :sha256 WHERE {where}"),
                {"sha256": sha256, **found},
            )


def _each_json(table: str, column: str, to: str, pick: Callable[[dict[str, Any]], Any]) -> None:
    connection = op.get_bind()
    for id_, value in connection.execute(sa.text(f"SELECT id, {column} FROM {table}")).all():
        found = pick(json.loads(value) if isinstance(value, str) else value or {})
        if found is not None:
            connection.execute(
                sa.text(f"UPDATE {table} SET {to} = :value WHERE id = :id"),
                {"value": found, "id": id_},
            )


def downgrade() -> None:
    """Undo. Only the first channel goes back; where cases lie and how masks came about is lost."""
    connection = op.get_bind()
    op.add_column("rounds", sa.Column("figures", sa.JSON(), nullable=False, server_default="{}"))
    for id_, nearest in connection.execute(sa.text("SELECT id, nearest FROM rounds")).all():
        connection.execute(
            _ROUNDS.update().where(_ROUNDS.c.id == id_).values(figures={"nearest": nearest})
        )
    for column in ("nearest", "exploring"):
        op.drop_column("rounds", column)
    op.drop_column("masks", "suggestion_model_id")
    op.drop_column("masks", "origin")
    for table, _, data, name, named in _MOVED:
        op.add_column(table, sa.Column(data, sa.LargeBinary(), nullable=True))
        op.execute(
            f"UPDATE {table} SET {data} = "
            f"(SELECT b.data FROM blobs b WHERE b.sha256 = {table}.{name})"
        )
        if not named:
            op.drop_column(table, name)
    op.create_table(
        "slice_images",
        sa.Column("slice_id", sa.Integer(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["slice_id"], ["slices.id"], name=op.f("fk_slice_images_slice_id")),
        sa.PrimaryKeyConstraint("slice_id", name=op.f("pk_slice_images")),
    )
    op.execute(
        "INSERT INTO slice_images (slice_id, png) SELECT i.slice_id, b.data FROM images i "
        "JOIN blobs b ON b.sha256 = i.sha256 WHERE i.channel = 0"
    )
    for name, kind in (
        ("bits", sa.Integer()),
        ("upload_sha256", sa.String(length=64)),
        ("sha256", sa.String(length=64)),
        ("mean", sa.Double()),
        ("mean_square", sa.Double()),
    ):
        op.add_column("slices", sa.Column(name, kind, nullable=True))
        op.execute(
            f"UPDATE slices SET {name} = (SELECT i.{name} FROM images i "
            "WHERE i.slice_id = slices.id AND i.channel = 0)"
        )
    base = '(i."offset" * i.slope + i.intercept)'
    op.execute(
        f"UPDATE slices SET mean_square = (SELECT (i.mean_square - 2 * {base} * i.mean "
        f"+ {base} * {base}) / (i.slope * i.slope) FROM images i "
        "WHERE i.slice_id = slices.id AND i.channel = 0), "
        f"mean = (SELECT (i.mean - {base}) / i.slope FROM images i "
        "WHERE i.slice_id = slices.id AND i.channel = 0)"
    )
    op.drop_column("slices", "complete")
    op.drop_column("cases", "affine")
    op.drop_column("projects", "channels")
    op.create_table(
        "predictions",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("slice_id", sa.Integer(), nullable=False),
        sa.Column("foreground_pixels", sa.Integer(), nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_predictions_model_id")),
        sa.ForeignKeyConstraint(["slice_id"], ["slices.id"], name=op.f("fk_predictions_slice_id")),
        sa.PrimaryKeyConstraint("model_id", "slice_id", name=op.f("pk_predictions")),
    )
    columns = "model_id, slice_id, foreground_pixels, features"
    op.execute(f"INSERT INTO predictions ({columns}) SELECT {columns} FROM slice_features")
    for table in ("slice_features", "workers", "images", "blobs"):
        op.drop_table(table)
