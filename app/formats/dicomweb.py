"""Series from a DICOMweb server into folders, where the DICOM layout reads them."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pydicom import Dataset

from app.core.errors import VolumeInvalid
from app.formats.dicomweb_query import Wanted, is_uid
from app.formats.dicomweb_server import DicomWebServer, DicomWebSource

_STUDY, _SERIES, _INSTANCE, _MODALITY = "0020000D", "0020000E", "00080018", "00080060"
# A server that never comes to an end has one for us: in pages of a list, in files of a series.
_MOST_PAGES, _MOST_TIMES = 10_000, 2


@dataclass(frozen=True)
class FoundSeries:
    """A series that a server has."""

    study: str
    series: str
    modality: str | None = None


@dataclass(frozen=True)
class Found:
    """The series that fit, by study, and what is to be known of the search."""

    series: list[FoundSeries]
    warnings: list[str]


@dataclass(frozen=True)
class FetchedSeries:
    """A series that was asked for: its folder with ``instances`` files, or why there is none."""

    found: FoundSeries
    folder: Path | None
    instances: int
    refused: str | None = None


def find_series(source: DicomWebSource, wanted: Wanted) -> Found:
    """The series that fit, those of a study side by side.

    Raises ``InvalidInput`` for what cannot be an address, and ``VolumeInvalid`` when the server
    cannot be asked or has none.
    """
    server = DicomWebServer(source)
    filters = dict(wanted.filters)
    found: dict[str, FoundSeries] = {}
    warnings = list(server.words)
    for study in wanted.studies or (None,):
        for series in wanted.series or (None,):
            asked = filters | ({"SeriesInstanceUID": series} if series else {})
            for reply in _all_pages(partial(server.series, study, asked), _SERIES, warnings):
                one = FoundSeries(
                    study or _value(reply, _STUDY) or "",
                    _value(reply, _SERIES) or "",
                    _value(reply, _MODALITY),
                )
                if not wanted.series or one.series in wanted.series:
                    found[one.series] = one
    if not found:
        raise VolumeInvalid(f"{server.host} has no series that fits what was asked for")
    return Found(sorted(found.values(), key=lambda one: (one.study, one.series)), warnings)


def fetch_series(
    source: DicomWebSource,
    found: list[FoundSeries],
    folder: Path,
    on_series: Callable[[FetchedSeries], None] = lambda fetched: None,
) -> Iterator[FetchedSeries]:
    """Fetch one series after the other, each into ``folder/SERIES`` as it lies in the archive.

    A series is fetched when it is asked for, so whoever has read one may delete its folder before
    the next. One that cannot be fetched whole says why, and leaves nothing behind. The files hold
    what the archive knows of the patient: keep ``folder`` to yourself, and delete it.
    """
    server = DicomWebServer(source)
    for one in found:
        try:
            fetched = _fetch(server, one, folder)
        except VolumeInvalid as error:
            fetched = FetchedSeries(one, None, 0, str(error))
        on_series(fetched)
        yield fetched


def _fetch(server: DicomWebServer, one: FoundSeries, folder: Path) -> FetchedSeries:
    """All files of the series in a folder of its own. Raises ``VolumeInvalid``."""
    # Servers say which UIDs these are: none may lead out of the folder.
    if not is_uid(one.study) or not is_uid(one.series):
        raise VolumeInvalid(
            f"{server.host} does not say by which UIDs this series is asked for: name its study"
        )
    missing = _listed(server, one)
    total = len(missing)
    into = folder / one.series
    try:
        into.mkdir(mode=0o700, parents=True)
    except OSError as fault:
        raise VolumeInvalid(f"{into} cannot be made: {fault.strerror}") from fault
    try:
        _fill(server, one, missing, into)
    except VolumeInvalid:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return FetchedSeries(one, into, total)


def _fill(server: DicomWebServer, one: FoundSeries, missing: dict[str, int], into: Path) -> None:
    """Write what is missing: as one stream, and what does not come by that, file by file."""
    total = len(missing)
    try:
        for dataset in islice(server.stream(one.study, one.series), _MOST_TIMES * total):
            _keep(dataset, missing, into)
            if not missing:  # whatever else it would send is not on its list
                return
    except VolumeInvalid:
        pass  # what has not come is asked for by name, and says itself why it cannot come
    for instance in list(missing):
        _keep(server.instance(one.study, one.series, instance), missing, into)
        if instance in missing:
            raise VolumeInvalid(f"{server.host} sends another file than instance {instance}")


def _listed(server: DicomWebServer, one: FoundSeries) -> dict[str, int]:
    """The instances that the server lists of a series, each with its number from 1."""
    warnings: list[str] = []
    replies = _all_pages(partial(server.instances, one.study, one.series), _INSTANCE, warnings)
    found = [_value(reply, _INSTANCE) for reply in replies]
    if warnings or not found or not all(map(is_uid, found)):
        raise VolumeInvalid(f"{server.host} does not list all instances of this series")
    return {str(instance): number for number, instance in enumerate(found, 1)}


def _keep(dataset: Dataset, missing: dict[str, int], into: Path) -> None:
    """Write a file that is still missing; what is not on the list is not written."""
    try:
        number = missing.get(str(dataset.get("SOPInstanceUID")))
        if number is not None:
            dataset.save_as(into / f"{number:06d}.dcm")
            del missing[str(dataset.SOPInstanceUID)]
    except OSError as fault:
        raise VolumeInvalid(f"{into.parent} cannot be written to: {fault.strerror}") from fault
    # pydicom fails in many ways on what it has read but cannot write.
    except Exception as fault:
        raise VolumeInvalid("one of its files cannot be read as DICOM") from fault


def _all_pages(
    page: Callable[[int], list[Any]], key: str, warnings: list[str]
) -> list[dict[str, Any]]:
    """All that a search finds, asked for until nothing new comes; each ``key`` once.

    Servers answer with as many as they like, and some cannot be asked for more: then a warning.
    """
    found: dict[str, dict[str, Any]] = {}
    seen = 0
    for _ in range(_MOST_PAGES):
        try:
            replies = page(seen)
        except VolumeInvalid:
            if not seen:
                raise
            warnings.append(
                f"the server sent {seen} results and cannot be asked for more: there may be others"
            )
            break
        new = {
            named: reply
            for reply in replies
            if (named := _value(reply, key)) is not None and named not in found
        }
        if not new:
            break
        found |= new
        seen += len(replies)
    return list(found.values())


def _value(reply: object, tag: str) -> str | None:
    """The first value of an attribute in DICOM JSON."""
    element = reply.get(tag) if isinstance(reply, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    first = values[0] if isinstance(values, list) and values else None
    return first if isinstance(first, str) else None
