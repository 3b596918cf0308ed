"""`sfumato import dicomweb`: series out of an archive, then the import of the DICOM that they are.

They lie in a temporary folder meanwhile, which nobody else may read and which goes with the
command: it needs room for all of them there (TMPDIR).
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import Progress as Bar

from app.core.errors import VolumeInvalid
from app.formats.dicomweb import FetchedSeries, fetch_series, find_series
from app.formats.dicomweb_query import Wanted
from app.formats.dicomweb_server import DicomWebSource
from app.importing.options import ImportOptions
from app.importing.report import ImportReport
from app.store import Database
from app.transfers.terminal import Unfetched, import_data_set


def import_series(
    database: Database,
    source: DicomWebSource,
    wanted: Wanted,
    project: str,
    options: ImportOptions,
) -> ImportReport:
    """Fetch the series that fit and import them; those that cannot come are in the report.

    Raises ``InvalidInput`` for what cannot be asked, ``VolumeInvalid`` when there is nothing to
    import, or some of it was refused; the others are in by then.
    """
    with TemporaryDirectory(prefix="sfumato-dicomweb-") as made:
        unfetched = _fetch(source, wanted, Path(made))
        return import_data_set(database, "dicom", Path(made), project, options, unfetched)


def _fetch(source: DicomWebSource, wanted: Wanted, folder: Path) -> Unfetched:
    """Series into folders, with a bar. Raises ``VolumeInvalid`` when none of them comes."""
    found = find_series(source, wanted)
    refused: dict[str, str] = {}
    with Bar() as bar:
        task = bar.add_task("fetching", total=len(found.series))

        def note(fetched: FetchedSeries) -> None:
            bar.update(task, advance=1)
            if fetched.refused:
                refused[fetched.found.series] = fetched.refused

        for _ in fetch_series(source, found.series, folder, note):
            pass
    if len(refused) == len(found.series):
        first = "\n".join(f"  {series}: {why}" for series, why in list(refused.items())[:10])
        raise VolumeInvalid(f"none of {len(refused)} series could be fetched:\n{first}")
    return Unfetched(refused, found.warnings)
