"""The project that is annotated meanwhile: small pictures, a small network, many short rounds."""

import numpy as np
from sqlalchemy import select

from app.core.prepared import prepare_image, prepare_mask
from app.core.project_settings import ProjectSettings, QuerySettings, TrainingSettings
from app.core.splits import Split
from app.loop.accounts import create_token
from app.loop.masks import add_imported_masks
from app.loop.projects import create_project
from app.loop.slices import add_slice, ensure_case
from app.store import Database, Image, Role, Slice

_SIDE, _CASE, _BATCH, _STEPS = 16, 20, 8, 250


def make_study(database: Database, slices: int, seed: int) -> dict[int, str]:
    """A project with that many slices in its pool and some of test; returns what the picture of
    each slice of the pool hashes to.
    """
    settings = ProjectSettings(
        classes=["background", "lesion"],
        query=QuerySettings(size=_BATCH),
        training=TrainingSettings(width=2, batch_size=4, steps=_STEPS, members=1),
    )
    rng = np.random.default_rng(seed)
    with database.writing() as session:
        project = create_project(session, "study", settings)
    for number in range(-1, slices // _CASE):
        pictures = [_picture(rng) for _ in range(_CASE)]
        prepared = [prepare_image(pixels) for pixels, _ in pictures]
        masks = [prepare_mask(mask) for _, mask in pictures]
        with database.writing() as session:
            split = Split.TEST if number < 0 else Split.POOL
            case = ensure_case(session, project, f"case-{number}", split)
            ids = [
                add_slice(session, case, index, {0: image}).slice.id
                for index, image in enumerate(prepared)
            ]
            if split is Split.TEST:
                add_imported_masks(session, dict(zip(ids, masks, strict=True)))
    of_pool = select(Image.slice_id, Image.sha256).join(Slice, Slice.id == Image.slice_id)
    with database.reading() as session:
        found = session.execute(of_pool.where(Slice.split == Split.POOL))
        return {slice_id: sha256 for slice_id, sha256 in found}


def make_annotators(database: Database, count: int) -> dict[str, str]:
    """Accounts that draw, by name, and the token of each."""
    with database.writing() as session:
        return {
            name: create_token(session, name, Role.ANNOTATOR)
            for name in (f"annotator-{number}" for number in range(1, count + 1))
        }


def _picture(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright square somewhere, and where that is."""
    pixels = rng.integers(0, 900, (_SIDE, _SIDE)).astype(np.uint16)
    row, column = rng.integers(1, _SIDE - 6, 2)
    mask = np.zeros((_SIDE, _SIDE), np.uint8)
    mask[row : row + 5, column : column + 5] = 1
    pixels[mask == 1] += 2000
    return pixels, mask
