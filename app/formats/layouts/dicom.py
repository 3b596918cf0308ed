"""DICOM: one folder a series, named after the case. Masks of DICOM are not read yet."""

from pathlib import Path

from app.core.errors import VolumeInvalid
from app.formats.channels import choose_of_pictures
from app.formats.dicom_series import read_series
from app.formats.layout import CaseFiles, DataSet, Layout, ReadOptions, some


class DicomSeries:
    """Each folder that holds files is a case."""

    words = "DICOM: one folder a series; images without masks"

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The folders at any depth."""
        if options.masks:
            raise VolumeInvalid(
                f"{folder}: masks are not read from DICOM, import the images without masks"
            )
        choice = choose_of_pictures(options.channels, folder)
        folders = sorted({path.parent for path in folder.rglob("*") if path.is_file()})
        cases = [
            CaseFiles(f.name, lambda f=f: read_series(f, choice))  # type: ignore[misc]
            for f in some(folders, folder, "DICOM series")
        ]
        return DataSet(cases, channels=list(choice.names))


LAYOUT: Layout = DicomSeries()
