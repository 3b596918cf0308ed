"""Masks over HTTP are numbers, and a case is one stack."""

import io

import numpy as np
import pytest
import tifffile
from sqlalchemy import func, select

from app.store import Mask, Role, Slice
from tests.conftest import pixels_of, png_of, problem_of
from tests.unit.picture_files import box, png, tiff


def with_slice(api, classes: int):
    """An admin of a project with one slice of 30 × 20 pixels, and the slice's path."""
    admin = api.as_("root", Role.ADMIN)
    names = ["background", *(f"class-{n}" for n in range(1, classes))]
    admin.post("/projects", json={"name": "brain", "classes": names})
    made = post(admin, "a", 0, (20, 30))
    return admin, f"/slices/{made.json()['id']}/masks"


def post(admin, case: str, index: int, shape):
    body = png_of(np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape))
    return admin.post("/projects/brain/slices", params={"case": case, "index": index}, content=body)


@pytest.mark.parametrize("classes", [2, 20])
@pytest.mark.parametrize(
    "body",
    [
        png(box(), 1),
        png(box(), 2),
        png(box(), 4),
        png(box(), 4, interlaced=True),
        tiff(box(bool)),
        tiff(box(bool), photometric="miniswhite"),
        tiff(box(), photometric="miniswhite"),
        tiff(box(), extratags=[(274, "H", 1, 3, True)]),
        tiff(box(np.float32)),
        tiff(box(np.int64), compression="deflate", bigtiff=True),
    ],
    ids=[
        "1 bit",
        "2 bits",
        "4 bits",
        "interlaced",
        "bool",
        "white is 0, 1 bit",
        "white is 0",
        "turned",
        "float",
        "64 bits",
    ],
)
def test_a_mask_is_kept_as_its_stored_samples(api, classes, body):
    admin, path = with_slice(api, classes)
    assert admin.post(path, content=body).status_code == 201
    np.testing.assert_array_equal(pixels_of(admin.get(path).content), box())


def test_a_mask_that_scikit_image_would_write(api):
    """A Boolean array, which tifffile stores as MINISWHITE on its own."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, box(bool))
    admin, path = with_slice(api, 2)
    assert admin.post(path, content=buffer.getvalue()).json()["foreground_pixels"] == 32


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (tiff(box(np.float32, 0.5)), "no whole numbers"),
        (tiff(box(), compression="jpeg"), "may have changed"),
        (tiff(np.stack([box()] * 2), photometric="minisblack"), "several pages"),
        (png_of(np.zeros((20, 30, 3), np.uint8)), "colour"),
    ],
    ids=["fractions", "jpeg", "pages", "colour"],
)
def test_what_is_no_class_map_is_refused_and_nothing_kept(api, body, words):
    admin, path = with_slice(api, 2)
    reply = admin.post(path, content=body)
    assert reply.status_code == 422
    assert words in problem_of(reply)["detail"]
    with api.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Mask)) == 0


def test_a_case_is_one_stack(api):
    admin, path = with_slice(api, 2)
    other = post(admin, "a", 1, (22, 30))
    assert other.status_code == 422
    detail = problem_of(other)["detail"]
    assert "30 × 22" in detail
    assert "30 × 20" in detail
    with api.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Slice)) == 1
    assert post(admin, "a", 1, (20, 30)).status_code == 201
    assert post(admin, "b", 0, (22, 30)).status_code == 201
    admin.post(path, content=png(box(), 8))
    assert admin.get("/projects/brain/export").status_code == 200
