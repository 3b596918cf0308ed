"""A case back as NIfTI: in the order, at the place and in the type that it came with."""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.core.geometry import Geometry
from app.formats.frame import Frame, frame_of
from app.formats.nifti_file import PLACE
from app.formats.value_types import ValueType, type_for
from app.formats.writer import ExportedCase, Reading, StoredChannel

# The most voxels along an axis that NIfTI-1 can tell of.
_LARGEST = 32767


def image_nifti(case: ExportedCase, channels: Sequence[int]) -> nib.Nifti1Image:
    """The values of some channels, along a fourth dimension where there are several.

    Places that no slice has hold the lowest value of their channel.
    """
    found = [_type_of(case, case.channels[n]) for n in channels]
    several = (len(channels),) if len(channels) > 1 else ()
    dtype = np.result_type(*(one.dtype for one in found))
    voxels = np.empty((*case.frame.shape, *several), dtype)
    for place, number in enumerate(channels):
        stack = case.frame.stack(voxels[..., place] if several else voxels)
        stack[...] = _exactly(np.array(found[place].lowest), dtype)
        for s in range(case.depth):
            stack[case.place(s)] = _exactly(case.channels[number].values(s), dtype)
    return _image(voxels, case.frame, case.source)


def label_nifti(case: ExportedCase, reading: Reading, unlabelled: int) -> nib.Nifti1Image:
    """A reading's class indices, uint8, with ``unlabelled`` where nobody has drawn."""
    voxels = np.full(case.frame.shape, unlabelled, np.uint8)
    stack = case.frame.stack(voxels)
    for s in reading.labelled:
        stack[case.place(s)] = reading.classes(s)
    return _image(voxels, case.frame, case.source)


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
    depth, height, width = stack.shape
    indices = range(first_index, first_index + depth)
    frame = frame_of(geometry, source, indices, (height, width))
    if frame.depth != depth:  # some of the file's slices are not there: its grid would be filled
        frame = frame_of(geometry, {}, indices, (height, width))
    dtype = stack.dtype if stack.dtype == np.uint8 else type_for([stack], source).dtype
    voxels = np.empty(frame.shape, dtype)
    frame.stack(voxels)[...] = _exactly(stack, dtype)
    return _image(voxels, frame, source)


def _type_of(case: ExportedCase, channel: StoredChannel) -> ValueType:
    known = case.source if case.source.get("dtype") else case.source | {"dtype": channel.dtype}
    return type_for((channel.values(s) for s in range(case.depth)), known)


def _exactly(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """In a type that was chosen for them: nothing is cut."""
    return values.astype(dtype)


def _image(voxels: npt.NDArray[Any], frame: Frame, source: dict[str, Any]) -> nib.Nifti1Image:
    own = frame.own
    second = (own and source.get("version") == 2) or max(voxels.shape) > _LARGEST
    kind: Any = nib.Nifti2Image if second else nib.Nifti1Image
    header = None
    if own and "place" in source:
        # With a header that says where the file lies, nibabel leaves its bits alone.
        header = kind.header_class()
        header.set_data_dtype(voxels.dtype)
        header.set_data_shape(voxels.shape)
        header["pixdim"][:4] = source["place"]["pixdim"]
        for name in PLACE:
            header[name] = source["place"][name]
    image: nib.Nifti1Image = kind(voxels, frame.affine, header, dtype=voxels.dtype)
    if frame.placed:
        image.header.set_xyzt_units("mm")
        image.set_sform(frame.affine, "scanner")
        image.set_qform(frame.upright if frame.sheared else frame.affine, "scanner")
    return image
