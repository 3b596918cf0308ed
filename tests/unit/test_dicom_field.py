"""Files of others, and damaged ones: each comes in exactly or is refused by name."""

import os
import random
import shutil
import tracemalloc
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from app.core.errors import VolumeInvalid
from tests.unit.dicom_files import data_set, numbered, series

TESTS = Path(pydicom.__file__).parent / "data" / "test_files"
# So many mutated headers, or as many as the environment says: SFUMATO_FUZZ=2000 pytest …
MUTATIONS = int(os.environ.get("SFUMATO_FUZZ", "60"))


def expected(path):
    """pydicom's own reading: (D, H, W) values by the modality's table, or (D, H, W, 3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = pydicom.dcmread(path)
        pixels = pixel_array(image)
        if image.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, image)
        elif image.SamplesPerPixel == 1:
            pixels = apply_modality_lut(pixels, image)
    frames = 1 if image.get("NumberOfFrames") in (None, 1) else -1
    return pixels.reshape(frames, *pixels.shape[-3 if len(np.shape(pixels)) > 3 else 0 :])


def come_in(path, folder):
    """ "exact", or why it is refused."""
    shutil.copy(path, folder)
    cases, refused = [], ""
    for channels in ((), ("red", "green", "blue")):
        try:
            cases = [case.read() for case in data_set(folder, *channels).cases]
        except VolumeInvalid as error:
            refused = str(error)
            if "is coloured: name three channels" not in refused:
                assert path.name in refused or path.name.startswith("DICOMDIR")
                return refused
        else:
            break
    (case,) = cases
    found = np.stack(
        [
            np.stack([c.rescale_of(n).values(p) for n, p in enumerate(c.pixels)])
            for c in case.channels
        ],
        axis=-1,
    )
    wanted = expected(path)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
    return "exact"


def test_all_files_of_pydicom_come_in_exactly_or_are_refused_by_name(tmp_path):
    tally = Counter()
    for number, path in enumerate(sorted(TESTS.rglob("*"))):
        if path.is_file():
            folder = tmp_path / str(number)
            folder.mkdir()
            found = come_in(path, folder)
            reason = found.partition(f"{path.name}: ")[2] or found.partition(": ")[0]
            tally[found if found == "exact" else reason.partition(":")[0][:90]] += 1
            shutil.rmtree(folder)
    print(f"\n{sum(tally.values())} files of pydicom {pydicom.__version__}:")
    for reason, count in tally.most_common():
        print(f"{count:4d} {reason.replace(str(tmp_path), '')}")
    assert tally["exact"] >= 78


def test_a_whole_disk_of_them_gives_cases_and_reasons(tmp_path):
    shutil.copytree(TESTS / "dicomdirtests", tmp_path / "disk")
    found = data_set(tmp_path / "disk")
    names = [case.name for case in found.cases]
    assert len(set(names)) == len(names)
    assert {"77654033_CT2", "98892001_CT5N", "98892001_CT2N_sagittal"} <= set(names)
    read = {case.name: case.read() for case in found.cases}
    # Three slices in a row and one 162 spacings below them.
    assert read["77654033_CT2"].indices == (0, 162, 163, 164)
    assert not any("DICOMDIR" in Path(file).name for file in found.left_out)


@cache
def bodies():
    """Files of several kinds, to be damaged."""
    with TemporaryDirectory() as name:
        plain = series(Path(name), numbered(3), names=["0", "1", "2"])
        image = pydicom.dcmread(plain / "1")
        image.compress(pydicom.uid.RLELossless)
        image.save_as(plain / "rle")
        names = ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm"]
        names += ["liver_1frame.dcm", "rtstruct.dcm", "CT_small.dcm", "MR_small_implicit.dcm"]
        files = [plain / "0", plain / "rle", *(TESTS / name for name in names)]
        return [path.read_bytes() for path in files]


def mutated(body, seed):
    """A file with up to six damages, mostly in its header."""
    chance = random.Random(seed)  # noqa: S311 bytes of tests, no secret
    body = bytearray(body)
    pixels = body.rfind(b"\xe0\x7f\x10\x00")
    for _ in range(chance.randint(1, 6)):
        header = min(pixels + 12 if pixels > 0 else len(body), len(body))
        at = chance.randrange(max(header, 1))
        damage = chance.randrange(5)
        if damage == 0:
            body[at : at + 1] = chance.randbytes(1)
        elif damage == 1:
            body[at : at + 4] = b"\xff" * chance.choice([1, 2, 4])
        elif damage == 2:
            del body[at : at + chance.choice([1, 2, 8, 64])]
        elif damage == 3:
            body[at:at] = chance.randbytes(chance.choice([1, 2, 8]))
        else:
            del body[chance.randrange(len(body) + 1) :]
    return bytes(body)


def read_all(folder, masks):
    """How many slices each case has, or why it has none."""
    found = {}
    for case in data_set(folder, masks=masks).cases:
        try:
            found[case.name] = case.read().depth
        except VolumeInvalid as error:
            found[case.name] = str(error)
    return found


@pytest.mark.timeout(300 + 3 * MUTATIONS)
@settings(max_examples=MUTATIONS, deadline=None)
@given(st.integers(0, 8), st.integers(0, 2**32))
def test_no_header_whatever_it_holds_stops_another_file(tmp_path_factory, which, seed):
    folder = tmp_path_factory.mktemp("mutated")
    series(folder / "good", numbered(3))
    (folder / "bad").mkdir()
    (folder / "bad" / "bad").write_bytes(mutated(bodies()[which], seed))
    tracemalloc.start()
    found = read_all(folder, masks=False)
    assert found.pop("good") == 3
    assert all(isinstance(one, int) or "bad" in one for one in found.values())
    read_all(folder, masks=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 64 * 2**20
    shutil.rmtree(folder)
