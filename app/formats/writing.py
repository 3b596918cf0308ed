"""A case back as NIfTI: in the order, at the place and in the type that it came with."""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.core.geometry import Affine, Geometry
from app.formats import planes
from app.formats.nifti_file import PLACE

# Where a case whose place is unknown is put: one millimetre a pixel, shown as it was drawn.
_NOWHERE = np.diag([-1.0, -1.0, 1.0, 1.0])
_INTEGERS = (np.int16, np.uint16, np.int32)


def to_nifti(
    stack: npt.NDArray[Any],
    geometry: Geometry | None,
    source: dict[str, Any],
    first_index: int = 0,
) -> nib.Nifti1Image:
    """A stack (D, H, W), whose first slice is number ``first_index`` of the case, as NIfTI.

    ``stack``: uint8 (classes, or values as they are stored), or values of the file. A case that
    came from NIfTI gets its own voxel order and, bit for bit, its own affine back.
    """
    values = stack if stack.dtype == np.uint8 else _typed(stack, source)
    if "affine" in source and first_index == 0:
        return _as_it_came(values, source)
    affine = _NOWHERE if geometry is None else geometry.affine.copy()
    if geometry is not None:
        affine[:3, 3] = geometry.position(0, 0, first_index)
    return nib.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), affine)


def side_by_side(images: Sequence[nib.Nifti1Image]) -> nib.Nifti1Image:
    """Channels of one case along the fourth dimension, values as they are; one stays alone."""
    first = images[0]
    if len(images) == 1:
        return first
    voxels = np.stack([np.asanyarray(image.dataobj) for image in images], axis=-1)
    header: Any = first.header.copy()
    header.set_data_dtype(voxels.dtype)
    joined: nib.Nifti1Image = type(first)(voxels, first.affine, header)
    return joined


def _as_it_came(values: npt.NDArray[Any], source: dict[str, Any]) -> nib.Nifti1Image:
    affine: Affine = np.array(source["affine"], dtype=np.float64)
    voxels = np.ascontiguousarray(
        planes.to_file(
            values, source.get("axes") or planes.axes_of(affine), source.get("plane", "axial")
        )
    )
    kind: Any = nib.Nifti2Image if source.get("version") == 2 else nib.Nifti1Image
    header = None
    if "place" in source:
        # With a header that says where the file lies, nibabel leaves its bits alone.
        header = kind.header_class()
        header.set_data_dtype(voxels.dtype)
        header.set_data_shape(voxels.shape)
        header["pixdim"][:4] = source["place"]["pixdim"]
        for name in PLACE:
            header[name] = source["place"][name]
    image: nib.Nifti1Image = kind(voxels, affine, header)
    return image


def _typed(values: npt.NDArray[Any], source: dict[str, Any]) -> npt.NDArray[Any]:
    """In the type of the file, if it holds the values, else in the smallest that does."""
    dtype = source.get("dtype")
    whole = values.dtype.kind in "iu" or np.array_equal(values, np.rint(values))
    if whole:
        low, high = values.min(), values.max()
        own = [np.dtype(dtype).type] if dtype and np.dtype(dtype).kind in "iu" else []
        for one in (*own, *_INTEGERS):
            if np.iinfo(one).min <= low and high <= np.iinfo(one).max:
                return values.astype(one)
    # A case of before types were kept was rounded to 16 bits: single precision holds that.
    single = dtype == "float32" or "slope" in source
    if single or np.array_equal(values.astype(np.float32), values):
        return values.astype(np.float32)
    return values.astype(np.float64)
