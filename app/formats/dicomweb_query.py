"""Which series are wanted of a DICOMweb server: by study, by series, or by their attributes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword

from app.core.errors import InvalidInput

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
# Letters and dashes are no UID by the standard, but archives that have them want them back.
_UID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True)
class Wanted:
    """Series are wanted that fit all of these. ``filters``: attribute → value of a QIDO search.

    Values may name a patient: nothing repeats them, in a log or in a message.
    """

    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()


def wanted_from(
    studies: Iterable[str] = (), series: Iterable[str] = (), queries: Iterable[str] = ()
) -> Wanted:
    """What people ask for: UIDs, and queries such as ``Modality=CT,StudyDate=20200101-``.

    Raises ``InvalidInput``; also where nothing is asked for, which would be the whole archive.
    """
    wanted = Wanted(
        _uids(studies, "study"),
        _uids(series, "series"),
        tuple(pair for query in queries for pair in _pairs(query)),
    )
    if wanted == Wanted():
        raise InvalidInput("name a study, a series or a query: not everything is fetched")
    names = {name for name, value in wanted.filters if value}
    if len(names) != len(wanted.filters):
        raise InvalidInput("each attribute of a query stands in it once, with a value")
    return wanted


def is_uid(text: object) -> bool:
    """Whether it can name a series in an address and as a folder."""
    return isinstance(text, str) and _UID.fullmatch(text) is not None


def _uids(given: Iterable[str], what: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(uid.strip() for uid in given))
    for uid in found:
        if not is_uid(uid):
            raise InvalidInput(f"{uid!r} is not the UID of a {what}")
    return found


def _pairs(query: str) -> list[tuple[str, str]]:
    """The attributes of a query with their values; a comma without a name belongs to the value."""
    pairs: list[tuple[str, str]] = []
    for part in query.split(","):
        name, equals, value = (text.strip() for text in part.partition("="))
        if equals:
            if tag_for_keyword(name) is None and not _TAG.fullmatch(name):
                raise InvalidInput(
                    f"{name!r} is no attribute of DICOM: queries look like "
                    "Modality=CT,StudyDate=20200101-"
                )
            pairs.append((name, value))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{name}")
        else:
            raise InvalidInput("a query is NAME=VALUE, such as Modality=CT,StudyDate=20200101-")
    return pairs
