"""placeholder"""

from pathlib import Path

from worker.benchmark.record import Record


def write_report(record: Record) -> Path:
    return record.folder
