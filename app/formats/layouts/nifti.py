"""images/NAME.nii.gz with labels/NAME.nii.gz; without masks, NIfTI files in the folder do."""

from app.formats.layout import Layout
from app.formats.volume_folder import VolumeFolder
from app.formats.volumes import NIFTI

LAYOUT: Layout = VolumeFolder(
    "NIfTI files: images/NAME.nii.gz with labels/NAME.nii.gz", "NIfTI", NIFTI
)
