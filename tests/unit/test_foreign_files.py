"""Files of others and damaged ones: each comes in exactly or is refused by name, none does more."""

import gzip
import os
import tracemalloc
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import VolumeInvalid
from app.formats.channels import choose, numbered
from app.formats.nifti_cases import read_nifti
from app.formats.nifti_file import open_nifti
from app.formats.volumes import ending_of, open_volume
from tests.unit.volumes import read, save

NIBABEL = Path(nib.__file__).parent / "tests" / "data"
# Damaged headers to try; SFUMATO_FUZZ=2000 tries more.
TRIES = int(os.environ.get("SFUMATO_FUZZ", "150"))
VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def files_of_nibabel() -> list[Path]:
    return sorted(path for path in NIBABEL.rglob("*") if path.is_file())


@pytest.mark.skipif(not NIBABEL.is_dir(), reason="this nibabel came without its test files")
def test_every_test_file_of_nibabel_comes_in_exactly_or_is_refused_by_name():
    tally: Counter[str] = Counter()
    for path in files_of_nibabel():
        tally["exact" if is_exact(path) else "refused"] += 1
    print("\nnibabel's test files:", dict(tally))
    assert tally["exact"] >= 6


def is_exact(path: Path) -> bool:
    """Whether a file comes in, checked; else it was refused by name."""
    try:
        offered = open_volume(path).volumes
        last = choose(numbered(offered), [str(offered - 1)] if offered > 16 else (), path)
        volume = read_nifti([path], choice=last)
    except VolumeInvalid as error:
        assert path.name.split(".")[0] in str(error), path  # noqa: PT017  # most are no NIfTI
        return False
    check_exact(path, volume, last.numbers)
    return True


def check_exact(path: Path, volume, numbers) -> None:
    """Values and places are those that nibabel gives, and SimpleITK where it can read the file."""
    header = open_nifti(path).path
    loaded = nib.load(header)
    values = np.asarray(loaded.dataobj, dtype=np.float64)
    values = values.reshape((*(*values.shape, 1)[:3], -1))
    turn = np.linalg.inv(loaded.affine) @ volume.geometry.affine
    for number, channel in zip(numbers, volume.channels, strict=True):
        ways = [channel.rescale_of(n).values(p) for n, p in enumerate(channel.pixels)]
        rows = np.array(np.unravel_index(np.arange(channel.pixels.size), channel.pixels.shape))
        ijk = np.rint(turn[:3, :3] @ rows[::-1] + turn[:3, 3:]).astype(int)
        found = values[..., number][tuple(ijk)]
        away = np.abs(found - np.stack(ways).reshape(-1)).max()
        assert away <= max(channel.largest_error, np.abs(found).max() * 1e-15), path
    check_place_with_itk(header, loaded)


def check_place_with_itk(path: Path, loaded) -> None:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return  # it takes no shears, and fewer types
    if image.GetDimension() != 3 or not loaded.header["qform_code"] + loaded.header["sform_code"]:
        return
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ affine, loaded.affine, atol=1e-3)


fuzzed = settings(
    max_examples=TRIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
damages = st.lists(
    st.tuples(st.integers(0, 560), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
)


@fuzzed
@given(damages, st.sampled_from([1, 2]), st.booleans())
def test_a_damaged_header_is_read_or_refused_by_name_and_costs_no_memory(
    tmp_path, places, version, packed
):
    kind = nib.Nifti1Image if version == 1 else nib.Nifti2Image
    path = tmp_path / "a.nii"
    nib.save(kind(VOXELS, np.diag([0.5, 0.5, 3, 1])), path)
    body = bytearray(path.read_bytes())
    for place, damage in places:
        body[place : place + len(damage)] = damage
    path.write_bytes(gzip.compress(body) if packed else body)
    save(tmp_path / "good.nii.gz", VOXELS)
    tracemalloc.start()
    try:
        damaged, good = read("nifti", tmp_path).cases
        try:
            damaged.read()
        except VolumeInvalid as error:
            assert "a.nii" in str(error)  # noqa: PT017  # most damages are refused, not all
        assert good.read().depth == 5
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@fuzzed
@given(damages, st.sampled_from([".nrrd", ".mha"]))
def test_a_damaged_file_of_itk_is_read_or_refused_by_name(tmp_path, places, ending):
    for left in tmp_path.iterdir():
        left.unlink()
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    body = bytearray(path.read_bytes())
    for place, damage in places:
        body[place : place + len(damage)] = damage
    path.write_bytes(body)
    try:
        (case,) = read("nrrd", tmp_path).cases
        case.read()
    except VolumeInvalid as error:
        assert path.name in str(error)  # noqa: PT017


def test_files_are_known_by_their_endings():
    names = ("a.nii", "a.NII.GZ", "a.mhd", "a.txt", ".nii", "nii", "a.nii.gz.part", "a.img")
    known = [ending_of(Path(name)) for name in names]
    assert known == [".nii", ".nii.gz", ".mhd", None, None, None, None, ".img"]
