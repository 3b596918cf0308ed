"""The card of a data set: Croissant (JSON-LD), with how every mask came about as a table.

The table is masks.csv; croissant.json says what its columns mean, so that any reader of Croissant
loads it.
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
        # Loaded here: it takes seconds that no start of the server should.
        import mlcroissant as mlc

        today = utc_now().replace(tzinfo=None)
        files = [
            _file(mlc, MASKS, "text/csv", table, "How each mask came about."),
            _file(mlc, SETTINGS, "application/json", settings, "The project's settings."),
            *(_files(mlc, *kind) for kind in self._kinds()),
        ]
        metadata = mlc.Metadata(
            name=self._about.project,
            description=words,
            license=[self._licence],
            version="1.0.0",
            date_published=today,
            cite_as=f"Sfumato project {self._about.project}",
            creators=[mlc.Organization(name="Sfumato")],
            data_annotation_protocol=[json.dumps(self._project.query)],
            data_annotation_platform=[f"Sfumato {version('sfumato')}"],
            distribution=files,
            record_sets=[_records(mlc)],
        )
        if metadata.issues.errors:
            raise ValueError(f"the card is no valid Croissant: {metadata.issues.errors}")
        described: dict[str, Any] = metadata.to_json()
        return described


def _file(mlc: Any, name: str, kind: str, content: bytes, words: str) -> Any:
    return mlc.FileObject(
        id=name,
        name=name,
        description=words,
        content_url=name,
        content_size=f"{len(content)} B",
        encoding_formats=[kind],
        sha256=digest(content),
    )


def _files(mlc: Any, folder: str, ending: str) -> Any:
    """The files of a kind that a folder holds, at any depth."""
    return mlc.FileSet(
        id=f"{folder}/*{ending}",
        name=f"{folder}{ending}",
        description=f"The files {ending} in {folder}, named by case.",
        encoding_formats=[_FORMATS[ending]],
        includes=[f"{folder}/**/*{ending}"],
    )


def _records(mlc: Any) -> Any:
    types = {
        "Text": mlc.DataType.TEXT,
        "Integer": mlc.DataType.INTEGER,
        "Boolean": mlc.DataType.BOOL,
        "DateTime": mlc.DataType.DATETIME,
        "Float": mlc.DataType.FLOAT,
    }
    return mlc.RecordSet(
        id="masks",
        name="masks",
        description="How each mask came about, one row a mask.",
        fields=[
            mlc.Field(
                id=f"masks/{name}",
                name=name,
                description=words,
                data_types=[types[kind]],
                source=mlc.Source(file_object=MASKS, extract=mlc.Extract(column=name)),
            )
            for name, (kind, words) in _COLUMNS.items()
        ],
    )


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
