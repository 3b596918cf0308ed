"""`sfumato export`: a project's images, labels and newest model, in the Decathlon layout."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput
from app.core.pixels import decode
from app.formats.volumes import to_file_orientation
from app.loop.learning import current_model
from app.loop.projects import find_project
from app.store import Case, Database, Label, Mask, Project, Slice, SliceImage

# What a label map holds where nobody has drawn: no class, so that "unlabelled" is never
# mistaken for background.
UNLABELLED = 255


def export_project(database: Database, name: str, folder: Path) -> int:
    """Write every case that has a label; returns how many. Raises ``InvalidInput``.

    Images go back to their original intensities and orientation; slices without a mask hold
    255 in the label map, and dataset.json says so.
    """
    if folder.exists():
        raise InvalidInput(f"{folder} is there already: name a folder that is not")
    with database.reading() as session:
        project = find_project(session, name)
        cases = session.scalars(
            select(Case)
            .where(
                Case.project_id == project.id,
                Case.id.in_(select(Slice.case_id).join(Label, Label.slice_id == Slice.id)),
            )
            .order_by(Case.id)
        ).all()
        if not cases:
            raise InvalidInput(f"project {name!r} has no labelled slice to export")
        for part in ("imagesTr", "labelsTr"):
            (folder / part).mkdir(parents=True)
        pairs = [_export_case(session, case, folder) for case in cases]
        _describe(session, project, pairs, folder)
    return len(cases)


def _export_case(session: Session, case: Case, folder: Path) -> dict[str, Any]:
    rows = session.execute(
        select(SliceImage.png, Mask.png, Slice.index)
        .join(Slice, Slice.id == SliceImage.slice_id)
        .outerjoin(Label, Label.slice_id == Slice.id)
        .outerjoin(Mask, Mask.id == Label.mask_id)
        .where(Slice.case_id == case.id)
        .order_by(Slice.index)
    ).all()
    image = np.stack([decode(image) for image, _, _ in rows])
    classes = np.stack(
        [
            decode(mask) if mask else np.full(image.shape[1:], UNLABELLED, dtype=np.uint8)
            for _, mask, _ in rows
        ]
    ).astype(np.uint8)
    source = case.source
    slope, intercept = source.get("slope", 1.0), source.get("intercept", 0.0)
    values = image if (slope, intercept) == (1.0, 0.0) else _rescaled(image, slope, intercept)
    affine = np.array(source["affine"]) if "affine" in source else np.diag([-1.0, -1, 1, 1])
    for part, stack in (("imagesTr", values), ("labelsTr", classes)):
        voxels = to_file_orientation(stack, {"affine": affine})
        nib.save(nib.Nifti1Image(voxels, affine), folder / part / f"{case.name}.nii.gz")
    return {
        "image": f"./imagesTr/{case.name}.nii.gz",
        "label": f"./labelsTr/{case.name}.nii.gz",
        "split": case.split.value,
        "labelled_slices": [int(index) for _, mask, index in rows if mask],
    }


def _rescaled(image: Any, slope: float, intercept: float) -> Any:
    values = image * slope + intercept
    if slope == 1.0 and values.min() >= -32768 and values.max() <= 32767:
        return values.astype(np.int16)
    return values.astype(np.float32)


def _describe(
    session: Session, project: Project, pairs: list[dict[str, Any]], folder: Path
) -> None:
    description = {
        "name": project.name,
        "labels": {str(i): name for i, name in enumerate(project.classes)},
        "unlabelled": UNLABELLED,
        "numTraining": len(pairs),
        "training": pairs,
        "test": [],
    }
    model = current_model(session, project.id)
    if model is not None:
        (folder / "model.safetensors").write_bytes(model.weights)
        description["model"] = {
            "file": "model.safetensors",
            "number": model.number,
            "architecture": model.architecture,
            "scores": model.scores,
            "seed": model.seed,
        }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1))
