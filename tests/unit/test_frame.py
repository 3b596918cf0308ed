"""The grid that a case goes out in, from the two affines alone."""

from itertools import permutations, product

import numpy as np
import pytest

from app.core.geometry import Geometry
from app.formats.frame import frame_of

SHAPE = (4, 5, 6)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((1, -1), repeat=3)))
def test_a_stack_of_any_plane_goes_back_to_its_file(axes, flips):
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 1000, SHAPE)
    affine = np.eye(4)
    affine[:3, :3] = rng.standard_normal((3, 3)) + 3 * np.eye(3)
    affine[:3, 3] = (-100, 20, 7)
    # A stack (D, H, W) whose columns, rows and slices follow these axes, some of them backwards.
    stack = voxels.transpose(axes[::-1])[tuple(slice(None, None, f) for f in flips[::-1])]
    order = np.zeros((4, 4))
    order[3, 3] = 1
    for column, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        order[axis, column] = flip
        order[axis, 3] = 0 if flip > 0 else SHAPE[axis] - 1
    source = {"affine": affine.tolist(), "shape": list(SHAPE)}
    depth, height, width = stack.shape
    frame = frame_of(Geometry(affine @ order), source, range(depth), (height, width))
    assert frame.own
    back = np.empty(SHAPE, dtype=voxels.dtype)
    frame.stack(back)[...] = stack
    np.testing.assert_array_equal(back, voxels)
    np.testing.assert_array_equal(frame.affine, affine)
    marked = np.zeros(SHAPE)
    frame.stack(marked)[1] = 1
    assert np.take(marked, frame.index(1), axis=axes[2]).all()
    assert marked.sum() == height * width


def test_a_stack_of_another_size_or_place_has_a_grid_of_its_own():
    affine = np.diag([1, 1, 3.0, 1])
    source = {"affine": affine.tolist(), "shape": list(SHAPE)}
    for geometry, indices, size in (
        (Geometry(affine), range(6), (5, 3)),
        (Geometry(affine), range(1, 8), (5, 4)),
        (Geometry(affine @ np.diag([2, 1, 1, 1.0])), range(6), (5, 4)),
    ):
        assert not frame_of(geometry, source, indices, size).own
    assert frame_of(Geometry(affine), {}, [3, 7, 10], (5, 4)).shape == (4, 5, 8)
