"""`sfumato export`: a project's cases in one of the field's formats, with how they came about."""

from app.exporting.archive import stream_project
from app.exporting.run import ExportOptions, ExportReport, export_project

__all__ = ["ExportOptions", "ExportReport", "export_project", "stream_project"]
