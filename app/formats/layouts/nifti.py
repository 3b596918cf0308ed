"""images/NAME.nii.gz with labels/NAME.nii.gz; without masks, NIfTI files in the folder do."""

from pathlib import Path

from app.formats.layout import DataSet, Layout, ReadOptions, some
from app.formats.nifti_cases import SUFFIXES, choose_of_files, nifti_case


class NiftiFiles:
    """Each file is a case; a fourth dimension holds its channels."""

    words = "NIfTI files: images/NAME.nii.gz with labels/NAME.nii.gz"

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The files by name."""
        images = folder / "images" if (folder / "images").is_dir() else folder
        found = sorted(images.iterdir() if images.is_dir() else [])
        files = [path for path in found if path.name.endswith(SUFFIXES)]
        some(files, folder, "NIfTI files")
        choice = choose_of_files(files, options.channels, folder)
        labels = folder / "labels"
        cases = [
            nifti_case([path], labels / path.name if options.masks else None, choice)
            for path in files
        ]
        return DataSet(cases, channels=list(choice.names))


LAYOUT: Layout = NiftiFiles()
