"""The card of a data set: Croissant (JSON-LD), with how every mask came about as a table.

The table is masks.csv; croissant.json says what its columns mean, so that any reader of Croissant
loads it. It is written here: mlcroissant, with pandas and all that it brings, would be a tenth of
the server's image. A test has it read every field back.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from app.core.blob import digest
from app.formats.writer import About, Target
from app.loop.provenance import Provenance
from app.store import Project, utc_now

MASKS, SETTINGS, CARD = "masks.csv", "project.json", "croissant.json"
_NO_LICENCE = "not stated: ask whoever gave you this data set"

_FORMATS = {".nii.gz": "application/gzip", ".png": "image/png", ".dcm": "application/dicom"}

# What the columns of masks.csv mean, and what they hold.
_COLUMNS: dict[str, tuple[str, str]] = {
    "case": ("Text", "The case (one patient or volume)."),
    "split": ("Text", "What the case is for: pool, validation or test."),
    "index": ("Integer", "Index of the slice in its case."),
    "place": ("Integer", "Place of the slice in the order of the case, from 0, in its volume."),
    "reading": ("Boolean", "A single reader's mask beside the labels; false for the labels."),
    "mask": ("Integer", "Number of the mask in the installation that it was drawn in."),
    "annotator": ("Text", "Name of the account that drew it."),
    "revision": ("Integer", "Which of this account's masks of the slice, from 1."),
    "source": ("Text", "Where it came from: human, oracle, import or consensus."),
    "origin": ("Text", "How: drawn, corrected or accepted from a suggestion, blank, empty …"),
    "suggestion_model": ("Integer", "Number of the model whose suggestion it began with."),
    "created_at": ("DateTime", "When it was handed in."),
    "seconds": ("Float", "Active drawing, in seconds."),
    "late": ("Boolean", "It came after its lease had ended."),
    "foreground_pixels": ("Integer", "Pixels of any class but the first."),
    "review": ("Text", "What reviewers said last: pending, accepted or rejected."),
    "reviewer": ("Text", "Name of the account that reviewed it last."),
    "reviewed_at": ("DateTime", "When."),
    "sha256": ("Text", "Of the mask's class indices as PNG."),
}

_RECORDS = {
    "@type": "cr:RecordSet",
    "@id": "masks",
    "name": "masks",
    "description": "How each mask came about, one row a mask.",
    "field": [
        {
            "@type": "cr:Field",
            "@id": f"masks/{name}",
            "name": name,
            "description": words,
            "dataType": f"sc:{kind}",
            "source": {"fileObject": {"@id": MASKS}, "extract": {"column": name}},
        }
        for name, (kind, words) in _COLUMNS.items()
    ],
}

# What the words of a card mean, as Croissant 1.0 asks every card to say.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        word: f"cr:{word}"
        for word in [
            "citeAs",
            "column",
            "equivalentProperty",
            "extract",
            "field",
            "fileProperty",
            "fileObject",
            "fileSet",
            "format",
            "includes",
            "isLiveDataset",
            "jsonPath",
            "key",
            "md5",
            "parentField",
            "path",
            "recordSet",
            "references",
            "regex",
            "repeated",
            "replace",
            "samplingRate",
            "separator",
            "source",
            "subField",
            "transform",
        ]
    },
}


class Card:
    """The card of one export, filled case by case."""

    def __init__(self, target: Target, project: Project, about: About, licence: str | None) -> None:
        """``licence``: an address or words; without one the card says that it is not stated."""
        self._target, self._project, self._about = target, project, about
        self._licence = (licence or "").strip() or _NO_LICENCE
        # As text: it takes far less room than rows.
        self._table = io.StringIO()
        self._rows = csv.DictWriter(self._table, list(_COLUMNS))
        self._rows.writeheader()
        self._by: Counter[str] = Counter()
        self._reviews: Counter[str] = Counter()

    def add(self, rows: Sequence[Provenance]) -> None:
        """Note the masks of a case."""
        for row in rows:
            self._rows.writerow({name: _cell(value) for name, value in asdict(row).items()})
            self._by[row.annotator] += 1
            self._reviews[row.review] += 1

    def finish(self, masks: int, cases: int, left_out: Mapping[str, str]) -> None:
        """Write the table, the project's settings and the card."""
        table = self._table.getvalue().encode()
        self._target.path(MASKS).write_bytes(table)
        settings = json.dumps(self._settings(), indent=1, ensure_ascii=False).encode()
        self._target.path(SETTINGS).write_bytes(settings)
        described = self._croissant(table, settings, self._words(masks, cases, left_out))
        text = json.dumps(described, indent=1, ensure_ascii=False, default=str)
        self._target.path(CARD).write_text(text, encoding="utf-8")

    def _settings(self) -> dict[str, Any]:
        project = self._project
        return {
            "name": project.name,
            "classes": project.classes,
            "channels": project.channels,
            "query": project.query,
            "training": project.training,
            "created_at": _cell(project.created_at),
            "licence": self._licence,
            "sfumato": version("sfumato"),
        }

    def _kinds(self) -> list[tuple[str, str]]:
        """Folders that hold files of cases, with these files' endings."""
        found = {
            (folder, ending)
            for folder, name in self._target.kinds
            for ending in _FORMATS
            if name.endswith(ending)
        }
        return sorted(found)

    def _words(self, masks: int, cases: int, left_out: Mapping[str, str]) -> str:
        about = self._about
        of = ", ".join(f"{name} {count}" for name, count in sorted(self._by.items()))
        reviews = ", ".join(f"{name} {count}" for name, count in sorted(self._reviews.items()))
        out = f" {len(left_out)} cases could not go out (export-report.json)." if left_out else ""
        return (
            f"Masks of the project {about.project}: {cases} cases, {masks} masks of the classes "
            f"{', '.join(about.classes)} on the channels {', '.join(about.channels)}. "
            f"Masks by account: {of}. By review: {reviews}.{out} "
            f"How each mask came about is in {MASKS}; the project's settings are in {SETTINGS}."
        )

    def _croissant(self, table: bytes, settings: bytes, words: str) -> dict[str, Any]:
        return {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "name": self._about.project,
            "description": words,
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "citeAs": f"Sfumato project {self._about.project}",
            "creator": {"@type": "sc:Organization", "name": "Sfumato"},
            "datePublished": f"{utc_now():%Y-%m-%dT%H:%M:%SZ}",
            "license": self._licence,
            "rai:dataAnnotationPlatform": f"Sfumato {version('sfumato')}",
            "rai:dataAnnotationProtocol": json.dumps(self._project.query),
            "version": "1.0.0",
            "distribution": [
                _file(MASKS, "text/csv", table, "How each mask came about."),
                _file(SETTINGS, "application/json", settings, "The project's settings."),
                *(_files(*kind) for kind in self._kinds()),
            ],
            "recordSet": [_RECORDS],
        }


def _file(name: str, kind: str, content: bytes, words: str) -> dict[str, str]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": words,
        "contentSize": f"{len(content)} B",
        "contentUrl": name,
        "encodingFormat": kind,
        "sha256": digest(content),
    }


def _files(folder: str, ending: str) -> dict[str, str]:
    """The files of a kind that a folder holds, at any depth."""
    return {
        "@type": "cr:FileSet",
        "@id": f"{folder}/*{ending}",
        "name": f"{folder}{ending}",
        "description": f"The files {ending} in {folder}, named by case.",
        "encodingFormat": _FORMATS[ending],
        "includes": f"{folder}/**/*{ending}",
    }


def _cell(value: Any) -> Any:
    """As a table holds it: nothing for what is not known, times in UTC."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    return value


if set(_COLUMNS) != {field.name for field in fields(Provenance)}:
    raise RuntimeError("a column of masks.csv is not described")
