"""Forty inputs from the field on which the product failed once, each held to what is right.

Inputs lie in ``inputs/NAME``; those of pydicom come with its package. One test a case.
"""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as Sitk
from pydicom.data import get_testdata_file
from sqlalchemy import select, text

from app.core.pixels import decode
from app.core.project_settings import ProjectSettings
from app.exporting import ExportOptions, export_project
from app.importing import ImportOptions, import_folder
from app.loop.projects import create_project
from app.store import Case, Database, Image, Label, Mask, Project, Role, Slice, blobs
from tests.conftest import mask, picture, problem_of

INPUTS = Path(__file__).parent / "inputs"
ALL_POOL = {"masks": "pool", "validation": 0.0, "test": 0.0}
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def taken_in(database, layout: str, folder: str | Path, **options):
    """Import one of the inputs, or another folder, into the project ``p``."""
    path = folder if isinstance(folder, Path) else INPUTS / folder
    return import_folder(database, layout, path, "p", ImportOptions(**options))


def values_of(database, case: str) -> np.ndarray:
    """The values of a case's slices, (D, H, W), as they come back."""
    with database.reading() as session:
        query = select(Image).join(Slice).join(Case).where(Case.name == case).order_by(Slice.index)
        images = session.scalars(query).all()
        return np.stack(
            [one.rescale.values(decode(blobs.get(session, one.sha256))) for one in images]
        )


def shown_of(database, case: str) -> np.ndarray:
    """What is stored of a case's slices: the greater, the brighter."""
    with database.reading() as session:
        query = select(Image).join(Slice).join(Case).where(Case.name == case).order_by(Slice.index)
        return np.stack(
            [decode(blobs.get(session, one.sha256)) for one in session.scalars(query)]
        ).astype(int)


def indices_of(database, case: str) -> list[int]:
    with database.reading() as session:
        query = select(Slice.index).join(Case).where(Case.name == case).order_by(Slice.index)
        return list(session.scalars(query))


def labels_of(database) -> np.ndarray:
    with database.reading() as session:
        query = select(Mask.sha256).join(Label, Label.mask_id == Mask.id).order_by(Mask.slice_id)
        return np.stack([decode(blobs.get(session, sha256)) for sha256 in session.scalars(query)])


def stored_of(folder: str, names) -> np.ndarray:
    """pydicom's own reading of files, (D, H, W)."""
    return np.stack([pydicom.dcmread(INPUTS / folder / n).pixel_array for n in names]).astype(float)


def warned(report) -> str:
    return " ".join(line for said in report.warnings.values() for line in said)


def from_pydicom(tmp_path, *names: str) -> Path:
    for name in names:
        shutil.copy(get_testdata_file(name, download=False), tmp_path / name)
    return tmp_path


# Meanings that differ between versions of a data set


def test_brats_label_3(database):
    report = taken_in(database, "brats", "brats-label-3/brl3", **ALL_POOL)
    assert report.refused == {}
    (path,) = (INPUTS / "brats-label-3").rglob("*_seg.nii*")
    truth = np.asarray(nib.load(path).dataobj)
    assert (labels_of(database) == 1).sum() == np.isin(truth, (1, 3, 4)).sum() == 18


def test_msd_bom(database):
    assert taken_in(database, "msd", "msd-bom/bom").cases == 2


def test_nnunet_v2_description(database):
    for layout in ("msd", "nnunet", "auto"):
        report = taken_in(database, layout, "nnunet-v2-description/nnunet_v2", **ALL_POOL)
        assert (report.cases, report.refused) == (2, {})
    with database.reading() as session:
        assert session.scalar(select(Project)).classes == ["background", "tumour"]


def test_msd_many_classes(database):
    with pytest.raises(Exception, match=r"70 classes.*at most 64"):
        taken_in(database, "msd", "msd-many-classes/seventy_classes", masks="pool")
    with database.reading() as session:
        assert session.scalar(select(Project)) is None


# DICOM: what is no clean stack


def test_dicom_no_series_uid(database):
    report = taken_in(database, "dicom", "dicom-no-series-uid")
    assert {case.name: case.slices for case in report.taken} == {"no_series_uid": 3, "plain": 5}


def test_dicom_empty_rescale(database):
    report = taken_in(database, "dicom", "dicom-empty-rescale")
    assert (report.cases, report.refused) == (2, {})
    stored = stored_of("dicom-empty-rescale/empty_tags", ["0.dcm", "1.dcm", "2.dcm"])
    assert np.array_equal(values_of(database, "empty_tags"), stored)


def test_dicom_zero_byte(database):
    report = taken_in(database, "dicom", "dicom-zero-byte")
    assert (
        "0 bytes"
        in report.left_out["zero_byte/2.dcm" if "zero_byte/2.dcm" in report.left_out else "2.dcm"]
    )
    assert indices_of(database, "zero_byte") == [0, 1, 3, 4]


def test_dicom_no_preamble_one(database):
    report = taken_in(database, "dicom", "dicom-no-preamble-one")
    assert (report.taken[0].slices, report.left_out) == (5, {})


def test_dicom_localizer(database):
    report = taken_in(database, "dicom", "dicom-localizer")
    assert [(case.slices, case.plane) for case in report.taken] == [(5, "axial")]
    ((file, why),) = report.left_out.items()
    assert file.endswith("9.dcm")
    assert "another plane" in why


def test_dicom_gap(database):
    report = taken_in(database, "dicom", "dicom-gap")
    assert indices_of(database, "gap") == [0, 1, 2, 5, 6]
    assert "3 and 4 are empty" in warned(report)


def test_dicom_no_place(database):
    report = taken_in(database, "dicom", "dicom-no-place")
    assert "guess" in warned(report)
    (folder,) = (INPUTS / "dicom-no-place").iterdir()
    names = sorted((p.name for p in folder.iterdir()), key=lambda n: int(n[2:].split(".")[0]))
    read = [pydicom.dcmread(folder / name) for name in names]
    wanted = [d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in read]
    assert np.array_equal(values_of(database, "no_place"), np.stack(wanted))


def test_dicom_two_echoes(database, tmp_path):
    # The headers number the echoes: each is a stack of its own, and nothing is interleaved.
    report = taken_in(database, "dicom", "dicom-two-echoes")
    assert [case.slices for case in report.taken] == [4, 4]
    # Without the numbers nobody can tell: refused.
    for path in (INPUTS / "dicom-two-echoes").rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        del dataset.EchoNumbers
        dataset.save_as(tmp_path / path.name)
    report = taken_in(database, "dicom", tmp_path)
    assert report.cases == 0
    assert "two images at one place" in str(report.refused)


def test_dicom_same_folder_names(database):
    report = taken_in(database, "dicom", "dicom-same-folder-names/same_names")
    assert [case.name for case in report.taken] == ["patA_SE000001", "patB_SE000001"]


# Values and their meaning


def test_dicom_slope_per_slice(database):
    taken_in(database, "dicom", "dicom-slope-per-slice")
    (folder,) = (INPUTS / "dicom-slope-per-slice").iterdir()
    read = sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda d: d.ImagePositionPatient[2])
    wanted = [d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in read]
    assert np.array_equal(values_of(database, "pet_slopes"), np.stack(wanted))


def test_dicom_monochrome1(database):
    taken_in(database, "dicom", "dicom-monochrome1")
    stored = stored_of("dicom-monochrome1/mono1", ["0.dcm", "1.dcm", "2.dcm"])
    header = pydicom.dcmread(INPUTS / "dicom-monochrome1/mono1/0.dcm")
    slope, base = header.get("RescaleSlope") or 1, header.get("RescaleIntercept") or 0
    assert np.array_equal(values_of(database, "mono1"), stored * float(slope) + float(base))
    shown = shown_of(database, "mono1")
    assert np.array_equal(np.argmax(shown), np.argmin(stored))
    assert (np.diff(shown.ravel()) * np.diff(stored.ravel()) <= 0).all()


def test_dicom_palette(database, tmp_path):
    folder = from_pydicom(tmp_path, "examples_palette.dcm")
    (why,) = taken_in(database, "dicom", folder).refused.values()
    assert "three channels" in why
    colours = {"channels": ("red", "green", "blue")}
    report = import_folder(database, "dicom", folder, "colour", ImportOptions(**colours))
    assert (report.cases, report.taken[0].channels) == (1, ["red", "green", "blue"])


@pytest.mark.parametrize(
    ("file", "what"),
    [("liver_1frame.dcm", "Segmentation Storage"), ("rtdose_1frame.dcm", "RT Dose Storage")],
)
def test_dicom_seg_as_image(database, tmp_path, file, what):
    try:
        report = taken_in(database, "dicom", from_pydicom(tmp_path, file))
    except Exception as error:
        said = str(error)
    else:
        assert report.cases == 0
        said = str(report.refused) + str(report.left_out)
    assert f"{what} is no image" in said


@pytest.mark.parametrize(
    "file", ["MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm", "SC_rgb_jpeg_gdcm.dcm"]
)
def test_dicom_jpeg_lossless(database, tmp_path, file):
    wanted = pydicom.dcmread(get_testdata_file(file, download=False))
    channels = ("red", "green", "blue") if wanted.SamplesPerPixel == 3 else ()
    report = taken_in(database, "dicom", from_pydicom(tmp_path, file), channels=channels)
    assert (report.cases, report.refused) == (1, {})
    if not channels:
        slope, base = wanted.get("RescaleSlope") or 1, wanted.get("RescaleIntercept") or 0
        values = wanted.pixel_array * float(slope) + float(base)
        assert np.array_equal(values_of(database, report.taken[0].name)[0], values)


def test_nifti_float_outlier(database):
    report = taken_in(database, "nifti", "nifti-float-outlier")
    voxels = nib.load(INPUTS / "nifti-float-outlier/float_outlier.nii.gz").get_fdata()
    back = np.sort(values_of(database, "float_outlier").ravel())
    rest = np.sort(voxels.ravel())[:-1]
    assert np.abs(back[:-1] - rest).max() < 1e-5
    assert len(np.unique(back)) > 2800
    assert "1 voxel lies far outside" in warned(report)
    assert "within" in warned(report)


def exported(database, tmp_path, case: str):
    """The case's image, after one of its slices was drawn on."""
    with database.writing() as session:
        from app.core.prepared import prepare_mask
        from app.loop.masks import add_imported_masks

        slice_ = session.scalars(select(Slice).join(Case).where(Case.name == case)).first()
        drawn = np.zeros((slice_.height, slice_.width), np.uint8)
        add_imported_masks(session, {slice_.id: prepare_mask(drawn)})
    export_project(database, "p", tmp_path / "out", ExportOptions("nifti"))
    return nib.load(tmp_path / "out" / "images" / f"{case}.nii.gz")


def test_export_constant_float(database, tmp_path):
    taken_in(database, "nifti", "export-constant-float")
    assert (exported(database, tmp_path, "const").get_fdata() == -3.25).all()


def test_export_int32_offset(database, tmp_path):
    taken_in(database, "nifti", "export-int32-offset")
    image = exported(database, tmp_path, "int32_offset")
    original = nib.load(INPUTS / "export-int32-offset/int32_offset.nii.gz")
    assert image.get_data_dtype() == np.int32
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(original.dataobj))


# Geometry


@pytest.mark.parametrize("name", ["plain", "coronal", "tilt"])
def test_dicom_export(database, tmp_path, name):
    taken_in(database, "dicom", f"dicom-export-{name}")
    exported(database, tmp_path, name)
    ours = Sitk.ReadImage(str(tmp_path / "out" / "images" / f"{name}.nii.gz"))
    reader = Sitk.ImageSeriesReader()
    folder = str(INPUTS / f"dicom-export-{name}" / name)
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    original = reader.Execute()
    if name != "tilt":
        assert np.allclose(ours.GetSpacing(), original.GetSpacing(), atol=1e-5)
        assert np.allclose(ours.GetDirection(), original.GetDirection(), atol=1e-5)
    assert np.allclose(ours.GetOrigin(), original.GetOrigin(), atol=1e-4)
    assert np.array_equal(Sitk.GetArrayFromImage(ours), Sitk.GetArrayFromImage(original))
    # A tilted stack is sheared: what a NIfTI affine holds, and ITK's direction cannot.
    affine = nib.load(tmp_path / "out" / "images" / f"{name}.nii.gz").affine
    headers = sorted(
        map(pydicom.dcmread, Path(folder).iterdir()),
        key=lambda d: np.dot(
            np.cross(d.ImageOrientationPatient[:3], d.ImageOrientationPatient[3:]),
            d.ImagePositionPatient,
        ),
    )
    for n, header in enumerate(headers):
        place = np.diag([-1, -1, 1]) @ np.array(header.ImagePositionPatient, float)
        assert np.allclose((affine @ [0, 0, n, 1])[:3], place, atol=1e-3)


@pytest.mark.parametrize("name", ["origin_shift", "zero_codes"])
def test_label_with_another_geometry(database, name):
    folder = f"label-{name.replace('_', '-')}/lab_{name}"
    report = taken_in(database, "nifti", folder, **ALL_POOL)
    assert report.cases == 0
    for affine in ("-0.8, 0.0, 0.0, 30.0", "its affine is [["):
        assert affine in report.refused[name]
    assert "--trust-voxels" in report.refused[name]
    assert taken_in(database, "nifti", folder, trust_voxels=True, **ALL_POOL).cases == 1
    image, labels = values_of(database, name), labels_of(database)
    assert image[labels == 1].mean() > 300


def test_label_near_integers(database):
    with database.writing() as session:
        create_project(session, "p", ProjectSettings(classes=["a", "b", "c", "d"]))
    report = taken_in(database, "nifti", "label-near-integers/lab_near_int", **ALL_POOL)
    assert report.refused == {}
    assert labels_of(database).max() == 3


def test_nifti_sagittal(database):
    (case,) = taken_in(database, "nifti", "nifti-sagittal/sag").taken
    assert (case.slices, case.height, case.width, case.plane) == (5, 64, 64, "sagittal")


def test_nifti_zero_sform(database):
    report = taken_in(database, "nifti", "nifti-zero-sform")
    assert (report.cases, report.refused) == (2, {})
    assert "sform is singular" in warned(report)


# What one file may not do to the others


def test_nifti_bad_datatype(database):
    report = taken_in(database, "nifti", "nifti-bad-datatype")
    assert report.cases == 1
    assert "bad_datatype.nii" in report.refused["bad_datatype"]


def test_nifti_rgb(database):
    report = taken_in(database, "nifti", "nifti-rgb")
    assert report.cases == 1
    assert "three channels" in report.refused["rgb"]
    colours = ImportOptions(channels=("red", "green", "blue"))
    assert import_folder(database, "nifti", INPUTS / "nifti-rgb", "colour", colours).cases == 1


def test_nifti_upper_case_ending(database):
    assert taken_in(database, "nifti", "nifti-upper-case-ending/upper").cases == 2


def test_png_mac_dot_files(database):
    report = taken_in(database, "png", "png-mac-dot-files/mac_png", **ALL_POOL)
    assert (report.new_slices, report.refused) == (3, {})


# Over HTTP


def test_zip_flat_dicom(api):
    admin = api.as_("root", Role.ADMIN)
    taken = []
    for name in ("flat_a", "flat_b"):
        body = (INPUTS / "zip-flat-dicom" / f"{name}.zip").read_bytes()
        where = {"layout": "dicom", "filename": f"{name}.zip"}
        report = admin.post("/projects/p/imports", params=where, content=body).json()
        assert report["refused"] == {}
        taken += [case["name"] for case in report["taken"]]
        # A sender that names no file: the same bytes are the same case, others are another.
        again = admin.post("/projects/q/imports", params={"layout": "dicom"}, content=body).json()
        assert (again["cases"], again["refused"]) == (1, {})
    assert taken == ["flat_a", "flat_b"]


def test_zip_folder_and_readme(api):
    admin = api.as_("root", Role.ADMIN)
    body = (INPUTS / "zip-folder-and-readme" / "folder_and_readme.zip").read_bytes()
    report = admin.post("/projects/p/imports", params={"layout": "nifti"}, content=body).json()
    assert report["cases"] >= 1
    assert report["refused"] == {}


def one_slice(api, classes: int = 2):
    """An admin and the id of a slice of 30 × 20 pixels."""
    admin = api.as_("root", Role.ADMIN)
    named = [f"class {n}" for n in range(classes)]
    admin.post("/projects", json={"name": "p", "classes": named}).raise_for_status()
    body = picture(size=30)
    from tests.conftest import pixels_of, png_of

    cut = png_of(pixels_of(body)[:20])
    where = {"case": "a", "index": 0}
    return admin, admin.post("/projects/p/slices", params=where, content=cut).json()["id"]


def box() -> np.ndarray:
    wanted = np.zeros((20, 30), np.uint8)
    wanted[5:9, 6:14] = 1
    return wanted


@pytest.mark.parametrize("classes", [2, 20])
def test_mask_png_4_bit(api, classes):
    admin, slice_id = one_slice(api, classes)
    body = (INPUTS / "mask-png-4-bit" / "grey4.png").read_bytes()
    assert admin.post(f"/slices/{slice_id}/masks", content=body).status_code == 201
    kept = decode(admin.get(f"/slices/{slice_id}/masks").content)
    assert np.array_equal(kept, box())


def test_mask_bool_tiff(api):
    admin, slice_id = one_slice(api)
    body = (INPUTS / "mask-bool-tiff" / "bool_miniswhite.tif").read_bytes()
    assert admin.post(f"/slices/{slice_id}/masks", content=body).status_code == 201
    kept = decode(admin.get(f"/slices/{slice_id}/masks").content)
    assert np.array_equal(kept, box())


def test_export_two_sizes(api):
    admin, _ = one_slice(api)
    other = admin.post("/projects/p/slices", params={"case": "a", "index": 1}, content=picture())
    assert "one stack" in problem_of(other)["detail"]
    assert other.status_code == 422


def test_export_index_gap(api, tmp_path):
    admin = api.as_("root", Role.ADMIN)
    admin.post("/projects", json={"name": "p", "classes": ["a", "b"]}).raise_for_status()
    for index in (3, 7, 10):
        where = {"case": "a", "index": index}
        made = admin.post("/projects/p/slices", params=where, content=picture(seed=index)).json()
        admin.post(f"/slices/{made['id']}/masks", content=mask(corner=index)).raise_for_status()
    report = export_project(api.database, "p", tmp_path / "out", ExportOptions("nifti"))
    labels = nib.load(tmp_path / "out" / "labels" / "a.nii.gz").get_fdata()
    drawn = [n for n in range(labels.shape[2]) if (labels[..., n] != 255).all()]
    # The stack runs from slice 3 to 10 of the case; what is between holds no class.
    assert (labels.shape[2], drawn) == (8, [0, 4, 7])
    assert "no slice at 1 to 3, 5 to 6" in str(report.warnings)


def test_import_locks_annotators(database, database_url, monkeypatch):
    # Its seconds are printed by `make bench`; here, that nothing of it is read or encoded while
    # others would wait for a transaction of ours.
    from app.formats import source

    seen: list[int] = []

    def others_write(original):
        def wrapped(*arguments):
            impatient = Database(database_url, lock_timeout_seconds=0.01)
            with impatient.writing() as session:
                session.execute(text("UPDATE projects SET name = name"))
            impatient.dispose()
            seen.append(1)
            return original(*arguments)

        return wrapped

    for step in ("prepare_image", "prepare_mask"):
        monkeypatch.setattr(source, step, others_write(getattr(source, step)))
    report = taken_in(database, "nnunet", "nnunet-v2-description/nnunet_v2", **ALL_POOL)
    assert len(seen) == 2 * report.new_slices == 16
