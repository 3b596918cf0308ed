"""Folders to import, and what came of them, for the tests of it."""

import nibabel as nib
import numpy as np
from sqlalchemy import func, select

from app.importing import ImportOptions, import_folder
from app.store import Case


def count(database, model) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def names(database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Case.name).order_by(Case.id)))


def write(path, seed: int = 0, shape=(8, 9, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([0.5, 0.5, 3.0, 1.0])), path)


def taken_in(database, folder, layout: str = "nifti", **options):
    return import_folder(database, layout, folder, "p", ImportOptions(**options))
