"""TIFF files of several pages as stacks of slices: what nnU-Net calls a 3D image."""

from pathlib import Path

import numpy as np
import tifffile

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.tiff_file import check_slice
from app.formats.volume_file import MOST_BYTES, Voxels, checked_numbers

TIFF = (".tif", ".tiff")
# Pixels of a page.
_LARGEST = 2**26


def pages_of(path: Path) -> int:
    """How many pages a TIFF has; 1 for what is none, which others refuse by name."""
    try:
        with tifffile.TiffFile(path) as file:
            return len(file.pages)
    except Exception:  # a damaged file raises whatever its tags lead to
        return 1


def read_tiff_stack(path: Path) -> Voxels:
    """Grey pages of one size as (D, H, W). Raises ``VolumeInvalid``, naming the file."""
    try:
        with tifffile.TiffFile(path) as file:
            shapes = {(page.shape, np.dtype(page.dtype)) for page in file.pages}
            if len(shapes) != 1:
                raise VolumeInvalid(
                    f"{path} has pages of several sizes or types: a stack has slices of one"
                )
            ((shape, dtype),) = shapes
            if len(shape) != 2 or dtype.kind not in "iufb":
                raise VolumeInvalid(
                    f"{path} has coloured or odd pages ({dtype}, {shape}): write one grey value a "
                    "pixel"
                )
            for n in range(len(file.pages)):
                page = file.pages[n]
                # Frames that look like the first hold no tags of their own until they are asked.
                whole = page if isinstance(page, tifffile.TiffPage) else page.aspage()
                check_slice(whole, path.stat().st_size, _LARGEST)
            if len(file.pages) * int(np.prod(shape)) * dtype.itemsize > MOST_BYTES:
                raise VolumeInvalid(f"{path} has {len(file.pages)} pages of {shape}: cut it up")
            found = np.stack([page.asarray() for page in file.pages])
    except SfumatoError as error:
        raise VolumeInvalid(
            str(error) if str(path) in str(error) else f"{path}: {error}"
        ) from error
    except Exception as error:  # as above
        raise VolumeInvalid(f"{path} is not a whole TIFF: {str(error)[:200]}") from error
    return checked_numbers(found, path)
