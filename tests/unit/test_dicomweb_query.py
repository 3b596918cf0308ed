"""What people may ask of a DICOMweb server."""

import pytest

from app.core.errors import InvalidInput
from app.formats.dicomweb_query import wanted_from


def test_queries_are_read_as_people_write_them():
    wanted = wanted_from(queries=["Modality=CT,StudyDate=20200101-", "SeriesInstanceUID=1.2,1.3"])
    assert dict(wanted.filters) == {
        "Modality": "CT",
        "StudyDate": "20200101-",
        "SeriesInstanceUID": "1.2,1.3",
    }


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"queries": ["CT"]},
        {"queries": ["Modalty=CT"]},
        {"queries": ["limit=1"]},
        {"queries": ["Modality="]},
        {"queries": ["Modality=CT", "Modality=MR"]},
        {"studies": ["1.2/../3"]},
        {"series": [""]},
    ],
)
def test_what_cannot_be_asked_is_refused(asked):
    with pytest.raises(InvalidInput):
        wanted_from(**asked)
