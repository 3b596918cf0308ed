"""images/NAME.nrrd (or .nhdr, .mha, .mhd) with labels/NAME of any of these, or of NIfTI."""

from app.formats.layout import Layout
from app.formats.volume_folder import VolumeFolder
from app.formats.volumes import ITK

LAYOUT: Layout = VolumeFolder(
    "NRRD and MetaImage files: images/NAME.nrrd (.nhdr, .mha, .mhd) with labels/NAME.nrrd",
    "NRRD or MetaImage",
    ITK,
)
