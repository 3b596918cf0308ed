"""The neighbours that a network sees with a slice, and the planes that the benchmark gives it."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.context import context_indices
from app.core.errors import UnknownName, VolumeInvalid
from worker.benchmark.ground import read_ground
from worker.benchmark.settings import PRESETS, GroundSettings

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("index", "context", "known", "expected"),
    [
        (5, 0, range(10), [5]),
        (5, 2, range(10), [3, 4, 5, 6, 7]),
        (0, 2, range(10), [0, 0, 0, 1, 2]),
        (9, 2, range(10), [7, 8, 9, 9, 9]),
        (0, 1, range(1), [0, 0, 0]),
        # A gap is an edge as long as it lasts.
        (5, 3, {2, 3, 5, 7}, [2, 3, 5, 5, 5, 7, 7]),
    ],
)
def test_the_slices_around_one(index, context, known, expected):
    assert context_indices(index, context, known) == expected


@given(st.sets(st.integers(0, 20), min_size=1), st.integers(0, 8), st.data())
def test_context_is_of_known_slices_in_order(known, context, data):
    index = data.draw(st.sampled_from(sorted(known)))
    found = context_indices(index, context, known)
    assert len(found) == 2 * context + 1
    assert found[context] == index
    assert found == sorted(found)
    assert set(found) <= known


def standardised(values):
    """Of a whole case, in float64."""
    values = values.astype(np.float64)
    return ((values - values.mean()) / values.std()).clip(-6, 6)


@pytest.fixture
def brats(tmp_path):
    """Three cases of two sequences; returns the folder and the values in axial view."""
    values = {}
    for n in range(3):
        case = tmp_path / f"case_{n}"
        case.mkdir()
        for sequence, scale in (("t1", 1000), ("flair", 0.001)):
            voxels = (RNG.gamma(2.0, size=(6, 5, 4)) * scale - scale).astype(np.float32)
            nib.save(nib.Nifti1Image(voxels, np.eye(4)), case / f"{case.name}_{sequence}.nii.gz")
            values[case.name, sequence] = voxels[::-1, ::-1].transpose(2, 1, 0)
        marks = np.zeros((6, 5, 4), dtype=np.uint8)
        nib.save(nib.Nifti1Image(marks, np.eye(4)), case / f"{case.name}_seg.nii.gz")
    return tmp_path, values


def test_planes_of_channels_and_context_in_the_order_of_the_case(brats):
    folder, values = brats
    ground = read_ground(folder, GroundSettings(layout="brats", channels=["flair", "t1"]))
    assert ground.channels == ["flair", "t1"]
    assert ground.cases[0].image.shape == (2, 4, 5, 6)
    for number, sample in enumerate(ground.samples(range(len(ground)), context=1)):
        slice_ = number % 4
        around = [max(slice_ - 1, 0), slice_, min(slice_ + 1, 3)]
        expected = [
            standardised(values[sample.case, name])[n] for n in around for name in ground.channels
        ]
        np.testing.assert_allclose(sample.image, expected, atol=2e-4)
    moments = ground.cases[0].moments
    assert moments[1].mean == pytest.approx(values["case_0", "t1"].mean(dtype=float), abs=0.1)


@pytest.mark.parametrize(
    ("settings", "channels"),
    [
        ({}, ["flair"]),
        ({"channel": None}, ["flair"]),
        ({"channel": "t1"}, ["t1"]),
        ({"channel": 1}, ["flair"]),
        ({"channels": ["t1", "flair"], "channel": 0}, ["t1", "flair"]),
        ({"channels": []}, ["t1", "flair"]),
    ],
)
def test_settings_of_any_age_say_which_channels(brats, settings, channels):
    asked = GroundSettings.model_validate({"layout": "brats"} | settings)
    assert read_ground(brats[0], asked).channels == channels
    assert PRESETS["paper-brats-lgg"].ground.wanted == ("flair",)


@pytest.mark.parametrize("shrink", [1, 2])
@pytest.mark.parametrize("window", [None, (40.0, 80.0)])
@pytest.mark.parametrize("slope", [2.0, -0.5])
def test_pixels_are_standardised_in_the_units_of_the_file(tmp_path, slope, window, shrink):
    for n in range(3):
        for part in ("images", "labels"):
            (tmp_path / part).mkdir(exist_ok=True)
        raw = RNG.integers(-100, 300, (4, 6, 3)).astype(np.int16)
        image = nib.Nifti1Image(raw * 0, np.diag([-1, -1, 1, 1]))
        image.header.set_slope_inter(1, 0)
        image.to_filename(tmp_path / "images" / f"{n}.nii")
        body = bytearray((tmp_path / "images" / f"{n}.nii").read_bytes())
        body[112:120] = np.array([slope, 7.0], "<f4").tobytes()
        body[352:] = raw.tobytes(order="F")
        (tmp_path / "images" / f"{n}.nii").write_bytes(body)
        marks = nib.Nifti1Image((raw > 0).astype(np.uint8), np.diag([-1, -1, 1, 1]))
        marks.to_filename(tmp_path / "labels" / f"{n}.nii")
    settings = GroundSettings(layout="nifti", window=window, shrink=shrink)
    ground = read_ground(tmp_path, settings)
    case = ground.cases[2]
    values = (raw * slope + 7.0).transpose(2, 1, 0)
    if window:
        values = values.clip(0, 80)
    if shrink > 1:
        values = values.reshape(3, 3, 2, 2, 2).mean(axis=(2, 4))
    expected = standardised(values)
    for n in range(3):
        np.testing.assert_allclose(case.plane(0, n), expected[n], atol=1e-5)
    assert case.moments[0].mean == pytest.approx(values.mean())
    assert case.moments[0].std == pytest.approx(values.std())


def test_what_a_benchmark_cannot_read_is_said(tmp_path):
    with pytest.raises(UnknownName, match="there is no layout 'bids': choose one of brats"):
        read_ground(tmp_path, GroundSettings(layout="bids"))
    with pytest.raises(VolumeInvalid, match="there are no DICOM files"):
        read_ground(tmp_path, GroundSettings(layout="dicom"))
