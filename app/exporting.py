"""`sfumato export`: a project's images, labels and current model, in the Decathlon layout."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.core.errors import InvalidInput
from app.formats.case import CaseVolume
from app.formats.writing import side_by_side, to_nifti
from app.loop.kept_cases import UNLABELLED, KeptCase, labelled_cases, read_case
from app.loop.models import current_model, weights_of
from app.loop.projects import find_project
from app.store import Database, ModelVersion, Project


def export_project(database: Database, name: str, folder: Path) -> int:
    """Write every case that has a label; returns how many. Raises ``InvalidInput``.

    Images go back to their original values and place, each channel along the fourth dimension
    where there are several; slices without a mask hold 255 in the label map, and dataset.json
    says so.
    """
    if folder.exists():
        raise InvalidInput(f"{folder} is there already: name a folder that is not")
    with database.reading() as session:
        project = find_project(session, name)
        cases = labelled_cases(session, project)
        if not cases:
            raise InvalidInput(f"project {name!r} has no labelled slice to export")
        for part in ("imagesTr", "labelsTr"):
            (folder / part).mkdir(parents=True)
        pairs = [_export_case(read_case(session, project, case), folder) for case in cases]
        model = current_model(session, project.id)
        if model is not None:
            (folder / "model.safetensors").write_bytes(weights_of(session, model))
        _describe(project, model, pairs, folder)
    return len(cases)


def _export_case(case: KeptCase, folder: Path) -> dict[str, Any]:
    file = f"{case.name}.nii.gz"
    nib.save(_values(case.volume), folder / "imagesTr" / file)
    nib.save(_written(case.volume, case.volume.classes), folder / "labelsTr" / file)
    return {
        "image": f"./imagesTr/{file}",
        "label": f"./labelsTr/{file}",
        "split": case.split.value,
        "labelled_slices": case.labelled,
    }


def _values(volume: CaseVolume) -> nib.Nifti1Image:
    """The file's own values, channels along the fourth dimension where there are several."""
    return side_by_side(
        [
            _written(volume, np.stack([c.rescale_of(n).values(p) for n, p in enumerate(c.pixels)]))
            for c in volume.channels
        ]
    )


def _written(volume: CaseVolume, stack: npt.NDArray[Any] | None) -> nib.Nifti1Image:
    if stack is None:
        raise InvalidInput("the case has no label map")
    return to_nifti(stack, volume.geometry, volume.source, volume.first_index)


def _describe(
    project: Project, model: ModelVersion | None, pairs: list[dict[str, Any]], folder: Path
) -> None:
    description: dict[str, Any] = {
        "name": project.name,
        "labels": {str(i): name for i, name in enumerate(project.classes)},
        "modality": {str(i): name for i, name in enumerate(project.channels)},
        "unlabelled": UNLABELLED,
        "numTraining": len(pairs),
        "training": pairs,
        "test": [],
    }
    if model is not None:
        description["model"] = {
            "file": "model.safetensors",
            "number": model.number,
            "architecture": model.architecture,
            "scores": model.scores,
            "seed": model.seed,
        }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1))
