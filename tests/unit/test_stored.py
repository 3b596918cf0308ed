"""What comes out of the store is what the file says, bit for bit, or the error is stated."""

import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from app.core.errors import VolumeInvalid
from app.core.prepared import prepare_image
from app.core.rescale import Moments, Rescale
from app.formats.nifti_cases import read_nifti
from app.formats.stored import loss_of, to_stored
from app.formats.writing import to_nifti

RNG = np.random.default_rng(0)
FILE = "a.nii.gz"


def back(channel):
    return np.stack([channel.rescale_of(n).values(p) for n, p in enumerate(channel.pixels)])


@pytest.mark.parametrize("low", [-40_000, -32_768, -1024, -1, 0, 5, 300, 2**31, -(2**40)])
@pytest.mark.parametrize("span", [0, 1, 255, 256, 65_535])
def test_integers_that_span_16_bits_are_exact(low, span):
    voxels = RNG.integers(low, low + span, (2, 3, 4), endpoint=True)
    voxels.flat[:2] = low, low + span
    channel = to_stored(voxels, FILE)
    assert channel.largest_error == 0
    np.testing.assert_array_equal(back(channel), voxels)


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 3, 4), -3.25),
        np.full((2, 3, 4), 1e-300),
        np.full((2, 3, 4), 0.1, dtype=np.float32),
        RNG.integers(0, 65_535, (2, 3, 4)) * 0.5,
        RNG.integers(-30_000, 30_000, (2, 3, 4)) * 0.25 - 3.25,
        RNG.integers(-500, 500, (9, 30, 40)) * 0.1,
        RNG.integers(0, 4096, (9, 30, 40)) * 1e-5,
        RNG.integers(0, 9, (2, 3, 4)) * 100_000,
        RNG.integers(0, 300, (2, 3, 4)) * 3.0 + 0.5,
        np.array([0.0, 6.0, 10.0, 15.0]).reshape(1, 2, 2) / 8,
    ],
)
def test_floats_on_a_grid_are_exact(values):
    channel = to_stored(values, FILE)
    np.testing.assert_array_equal(back(channel), values)
    assert channel.largest_error == 0
    assert loss_of(channel, FILE, values.dtype) == []


def test_a_grid_of_single_precision_comes_back_within_its_own_rounding():
    values = (RNG.integers(0, 2000, (4, 20, 20)) * np.float32(0.1)).astype(np.float32)
    channel = to_stored(values, FILE)
    np.testing.assert_array_equal(back(channel).astype(np.float32), values)
    assert channel.largest_error < 1e-4
    assert loss_of(channel, FILE, values.dtype) == []


@settings(max_examples=150, deadline=None)
@given(
    npst.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint64]),
        st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4)),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_the_error_is_what_is_stated_whatever_the_numbers(values):
    wide = values.astype(np.float64)
    if np.abs(wide).max() >= 1e150:
        with pytest.raises(VolumeInvalid, match="more than can be stored"):
            to_stored(values, FILE)
        return
    channel = to_stored(values, FILE)
    error = np.abs(back(channel) - wide).max()
    span = wide.max() - wide.min()
    assert error <= channel.largest_error
    assert error <= span / 65_535 * 0.51 + np.abs(wide).max() * 1e-15


def test_what_16_bits_cannot_hold_is_told():
    values = RNG.standard_normal((3, 20, 20))
    channel = to_stored(values, FILE)
    assert np.abs(back(channel) - values).max() == channel.largest_error > 0
    (line,) = loss_of(channel, FILE, values.dtype)
    assert FILE in line
    assert f"{channel.largest_error:.3g}" in line
    assert f"{values.min():.6g}" in line


@pytest.mark.parametrize("dtype", [np.complex64, "S4"])
def test_what_is_no_number_is_refused(dtype):
    with pytest.raises(VolumeInvalid, match="grey value"):
        to_stored(np.zeros((1, 2, 2), dtype=dtype), FILE)


def scaled_file(path, raw, slope, inter):
    image = nib.Nifti1Image(raw, np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_slope_inter(slope, inter)
    nib.save(image, path)
    # nibabel computes a slope of its own when it saves: set the one that is wanted.
    path.write_bytes(b"".join([path.read_bytes()[:112], np.array([slope, inter], "<f4").tobytes()]))
    with path.open("ab") as file:
        file.write(image.header.binaryblock[120:] + b"\0" * 4 + raw.tobytes(order="F"))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize(
    ("slope", "inter"), [(0.1, 0.0), (1.0, -1024.0), (3.7e-5, 12.3), (-2.5, 1.0), (1 / 3, 0.7)]
)
def test_the_scaling_of_a_nifti_file_is_kept_bit_for_bit(tmp_path, dtype, slope, inter):
    low, high = max(np.iinfo(dtype).min, -32_768), min(np.iinfo(dtype).max, 32_767)
    raw = RNG.integers(low, high, (4, 5, 6), endpoint=True).astype(dtype)
    path = scaled_file(tmp_path / "a.nii", raw, slope, inter)
    loaded = nib.load(path)
    assert (loaded.dataobj.slope, loaded.dataobj.inter) == pytest.approx((slope, inter))
    expected = np.asarray(loaded.dataobj)
    case = read_nifti([path])
    channel = case.channels[0]
    assert (channel.largest_error, case.warnings) == (0, ())
    # A falling slope is kept with stored numbers that fall: what is shown runs with the values.
    assert channel.rescale[0].slope == abs(np.float32(slope))
    out = to_nifti(back(channel), case.geometry, case.source)
    np.testing.assert_array_equal(np.asarray(out.dataobj), expected)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 255], "int16", np.int16),
        ([0, 255], "uint8", np.uint8),
        ([-5, 7], None, np.int16),
        ([0, 40_000], "int16", np.uint16),
        ([-5, 40_000], None, np.int32),
        ([-5, 40_000], "float32", np.float32),
        ([0.5, 1], "float32", np.float32),
        ([0.1, 1], "float32", np.float32),
        ([0.5, 1], None, np.float32),
        ([0.1, 1], None, np.float64),
        ([0.1, 1], "float64", np.float64),
        ([0, 2**40], None, np.float32),
    ],
)
def test_values_go_out_in_the_type_that_holds_them(values, dtype, expected):
    stack = np.array(values, dtype=np.float64).reshape(1, 1, 2)
    source = {} if dtype is None else {"dtype": dtype}
    assert to_nifti(stack, None, source).get_data_dtype() == expected


def test_rescale_and_moments_by_hand():
    way = Rescale(offset=-1024, slope=2.0, intercept=10.0, unit="HU")
    values = way.values(np.array([[0, 1024]], dtype=np.uint16))
    assert values.tolist() == [[-2038.0, 10.0]]
    assert way.base == -2038.0
    moments = Moments.of(np.array([[1.0, 3.0]]))
    assert (moments.mean, moments.mean_square, moments.std) == (2.0, 5.0, 1.0)
    assert Moments.together([moments, Moments(4.0, 17.0)]) == Moments(3.0, 11.0)


@pytest.mark.parametrize("lowest", [0, 7, 1234])
def test_a_grid_of_single_precision_is_found_wherever_it_begins(lowest):
    steps = np.random.default_rng(0).integers(lowest, lowest + 2500, (4, 16, 16))
    values = (0.37 * steps - 5).astype(np.float32)
    stack = to_stored(values, Path("a.nii"))
    again = stack.rescale_of(0).values(stack.pixels).astype(np.float32)
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize("odd", [[1e9], [-1e9], [1e9, -4e7], [1e5, 1e9, 1e30], [1e4]])
@pytest.mark.parametrize("shape", [(6, 24, 20), (40, 100, 100)])
def test_single_voxels_do_not_take_the_steps_of_all_others(odd, shape):
    values = np.random.default_rng(1).random(shape)
    places = np.random.default_rng(2).choice(values.size, len(odd), replace=False)
    values.flat[places] = odd
    channel = to_stored(values, FILE)
    others = np.ones(values.size, dtype=bool)
    others[places] = False
    errors = np.abs(back(channel) - values).reshape(-1)[others]
    assert channel.cut == len(odd)
    assert errors.max() == channel.largest_error < 1e-5
    (line,) = loss_of(channel, FILE, values.dtype)
    assert f"{len(odd)} voxel" in line
    assert f"within {channel.largest_error:.3g}" in line


def test_the_others_are_exact_where_they_can_be():
    for values in (
        RNG.integers(-1024, 3000, (5, 30, 30)),
        RNG.integers(-1024, 3000, (5, 30, 30)).astype(np.float32),
        RNG.integers(0, 4096, (5, 30, 30)) * 0.25,
    ):
        values.flat[7] = 2**31 - 1
        channel = to_stored(values, FILE)
        assert (channel.cut, channel.largest_error) == (1, 0)
        np.testing.assert_array_equal(back(channel).flat[8:], values.flat[8:])
        assert "exactly" in loss_of(channel, FILE, values.dtype)[0]


def test_what_is_rare_but_near_or_all_that_there_is_stays():
    hot = RNG.random((5, 30, 30))
    hot.flat[:3] = 60.0
    sparse = np.zeros((20, 50, 50))
    sparse[10, 20:22, 20:22] = RNG.random((2, 2))
    few = np.array([0.1, 0.2, 1e9]).reshape(1, 1, 3)
    for values in (hot, sparse, few):
        assert to_stored(values, FILE).cut == 0


def test_scaling_beyond_all_numbers_is_refused():
    with pytest.raises(VolumeInvalid, match="more than can be stored"):
        to_stored(np.arange(8).reshape(2, 2, 2), FILE, slope=1e300)


@pytest.mark.parametrize("shape", [(2049, 2048), (3, 2_000_000), (1, 5_000_000)])
def test_moments_of_large_pictures_are_those_of_all_their_values(shape):
    stored, rescale = RNG.integers(0, 65536, shape).astype(np.uint16), Rescale(-1000, 0.3, 7.0)
    found, expected = Moments.of_stored(stored, rescale), Moments.of(rescale.values(stored))
    assert found.mean == pytest.approx(expected.mean, rel=1e-13)
    assert found.mean_square == pytest.approx(expected.mean_square, rel=1e-13)


def test_a_large_picture_is_prepared_in_little_more_than_its_own_bytes():
    stored = np.zeros((6000, 3000), np.uint16)
    tracemalloc.start()
    try:
        prepare_image(stored)
        assert tracemalloc.get_traced_memory()[1] < 3 * stored.nbytes
    finally:
        tracemalloc.stop()
