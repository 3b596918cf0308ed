"""Two label maps of one image: nobody may choose between them in silence."""

import shutil

import numpy as np
import pytest
from PIL import Image

from app.core.errors import VolumeInvalid
from app.formats.layout import ReadOptions, find_layout
from tests.unit.volumes import save

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
MARKS = (VOXELS % 3).astype(np.uint8)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def png(path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(path)


def in_png(folder):
    png(folder / "images" / "a" / "1.png", 9)
    png(folder / "masks" / "a" / "1.png", 0)
    png(folder / "masks" / "a" / "001.png", 1)


def in_nifti(folder):
    save(folder / "images" / "a.nii.gz", VOXELS, AFFINE)
    save(folder / "labels" / "a.nii.gz", MARKS, AFFINE)
    save(folder / "labels" / "a.nii", 1 - MARKS // 2, AFFINE)


def in_brats(folder):
    save(folder / "a" / "a_flair.nii.gz", VOXELS, AFFINE)
    save(folder / "a" / "a_seg.nii.gz", MARKS, AFFINE)
    save(folder / "a" / "a_seg.nii", MARKS // 2, AFFINE)


@pytest.mark.parametrize(
    ("layout", "write"), [("png", in_png), ("nifti", in_nifti), ("brats", in_brats)]
)
def test_two_label_maps_of_one_image_are_refused_by_name(tmp_path, layout, write):
    write(tmp_path)
    (case,) = find_layout(layout).read(tmp_path, ReadOptions(masks=True)).cases
    with pytest.raises(VolumeInvalid, match=r"both the labels of one image"):
        case.read()
    # Without masks nobody has to choose.
    (case,) = find_layout(layout).read(tmp_path, ReadOptions()).cases
    assert case.read().depth
    shutil.rmtree(tmp_path)
