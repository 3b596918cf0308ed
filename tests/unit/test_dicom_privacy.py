"""Nothing of a patient gets from a header into a case, a message, a warning or a log."""

import contextlib
import logging
import pickle
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from app.core.errors import VolumeInvalid
from app.formats.dicom.kept import MARKS, READ
from tests.unit.dicom_files import data_set, numbered, series

MARKER = "ZORK47"
TEXT = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "CS", "AS"}
DATES = {"DA": "19470411", "TM": "194704.11", "DT": "19470411194704"}
# Without these an image is no image: they are tried one by one below.
NEEDED = {"PhotometricInterpretation", "Modality", "SpecificCharacterSet"}


def filled_with(marker, keywords):
    """Values that carry a marker for elements of any text."""
    found = {}
    for keyword in keywords:
        vr = pydicom.datadict.dictionary_VR(pydicom.datadict.tag_for_keyword(keyword))
        found[keyword] = DATES.get(vr, f"{marker}^{marker}" if vr == "PN" else marker)
    return found


def everywhere():
    """All elements of text and dates of the standard, with the marker."""
    keywords = [
        entry[4]
        for tag, entry in DicomDictionary.items()
        if entry[0] in TEXT | set(DATES) and entry[4] and tag >> 16 > 0x0002
    ]
    return filled_with(MARKER, [keyword for keyword in keywords if keyword not in NEEDED])


def mark(path, more=None):
    """Write the marker into every element of a file that can hold it, private ones as well."""
    image = pydicom.dcmread(path)
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        for keyword, value in (everywhere() | (more or {})).items():
            with contextlib.suppress(Exception):
                setattr(image, keyword, value)
        image.private_block(0x0019, MARKER, create=True).add_new(1, "LO", MARKER)
        inner = Dataset()
        inner.PatientName = inner.CodeMeaning = MARKER
        image.RequestAttributesSequence = image.ReferencedImageSequence = [inner]
        image.save_as(path)


def all_said(folder, caplog, *channels, masks=False):
    """Everything that comes of a folder, as one text."""
    caplog.set_level(logging.DEBUG)
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = data_set(folder, *channels, masks=masks)
            said += [found.left_out, found.warnings, found.classes, found.channels]
            for case in found.cases:
                said.append(case.name)
                try:
                    volume = case.read()
                except VolumeInvalid as error:
                    said += [str(error), error.__cause__, error.__context__]
                else:
                    said += [volume.source, volume.warnings, volume.left_out, volume.channels]
                    said.append(pickle.dumps(volume))
        except VolumeInvalid as error:
            said += [str(error), error.__cause__, error.__context__]
    said += [str(one.message) for one in caught]
    return "\n".join(map(str, [*said, caplog.text]))


def test_no_text_date_or_private_element_is_kept(tmp_path, caplog):
    folder = series(tmp_path / "a", numbered(), names=list("abcd"))
    for path in folder.iterdir():
        mark(path)
    (case,) = data_set(tmp_path).cases
    np.testing.assert_array_equal(case.read().channels[0].pixels, numbered())
    said = all_said(tmp_path, caplog)
    assert MARKER not in said
    assert not any(date in said for date in (*DATES.values(), "1947-04-11"))


@pytest.mark.parametrize("tag", sorted({*READ, *MARKS}))
def test_nor_from_an_element_that_is_read_whatever_it_holds(tmp_path, caplog, tag):
    entry = DicomDictionary[tag]
    folder = series(tmp_path / "a", numbered(2), names=["0", "1"])
    path = folder / "0"
    image = pydicom.dcmread(path)
    with contextlib.suppress(KeyError):
        del image[tag]
    # Unknown and written by hand: what pydicom makes of it is its own affair.
    bare = image.private_block(0x0019, "x", create=True)
    bare.add_new(1, "LO", "PLACE")
    image.save_as(path)
    body = path.read_bytes()
    vr = entry[0].split(" ")[0].encode()
    text = (MARKER + "^" + MARKER).ljust(16).encode()
    length = len(text).to_bytes(2, "little")
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"OF", b"OD", b"OV"):
        length = b"\0\0" + len(text).to_bytes(4, "little")
    element = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    at = body.index(b"\x19\x00\x10\x00")
    path.write_bytes(body[:at] + element + vr + length + text + body[at:])
    assert MARKER not in all_said(tmp_path, caplog)
    assert MARKER not in all_said(tmp_path, caplog, "red", "green", "blue", masks=True)


@pytest.mark.parametrize(
    "elements",
    [
        {"Modality": MARKER},
        {"SOPInstanceUID": MARKER, "StudyInstanceUID": MARKER, "FrameOfReferenceUID": MARKER},
        {"SeriesInstanceUID": MARKER},
        {"SeriesDescription": MARKER, "SeriesNumber": "3"},
        {"ImageType": [f"{MARKER}\\A"] * 2 + [f"{MARKER}\\B"] * 2, "ImagePositionPatient": "z"},
        {"PixelSpacing": None},
        {"RescaleType": MARKER},
    ],
)
def test_nor_from_one_that_tells_series_and_stacks_apart(tmp_path, caplog, elements):
    if "ImagePositionPatient" in elements:
        places = [[0, 0, n % 2] for n in range(4)]
        elements = elements | {"ImagePositionPatient": places}
    folder = series(tmp_path / "a", numbered(), uid=generate_uid(), names=list("abcd"), **elements)
    said = all_said(folder, caplog)
    assert MARKER not in said
    assert "a" in said
