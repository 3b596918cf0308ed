"""What other packages import of Sfumato, and nothing else. Each name is loaded when it is used.

A measure, strategy, layout, network or recipe of one's own is named by an entry point of the group
``sfumato.measures``, ``sfumato.strategies``, ``sfumato.layouts``, ``sfumato.networks`` or
``sfumato.recipes``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.core.errors import VolumeInvalid as VolumeInvalid
    from app.core.geometry import Geometry as Geometry
    from app.core.rescale import Rescale as Rescale
    from app.formats.case import CaseVolume as CaseVolume
    from app.formats.case import ChannelStack as ChannelStack
    from app.formats.layout import CaseFiles as CaseFiles
    from app.formats.layout import DataSet as DataSet
    from app.formats.layout import Detected as Detected
    from app.formats.layout import Layout as Layout
    from app.formats.layout import ReadOptions as ReadOptions
    from worker.acquisition.measure import Measure as Measure
    from worker.acquisition.pool import Pick as Pick
    from worker.acquisition.pool import PoolScores as PoolScores
    from worker.acquisition.pool import Strategy as Strategy
    from worker.segmentation.network import Network as Network
    from worker.segmentation.recipe import Course as Course
    from worker.segmentation.recipe import Lesson as Lesson
    from worker.segmentation.recipe import Recipe as Recipe

_HOMES = {
    "CaseFiles": "app.formats.layout",
    "CaseVolume": "app.formats.case",
    "ChannelStack": "app.formats.case",
    "Course": "worker.segmentation.recipe",
    "Detected": "app.formats.layout",
    "DataSet": "app.formats.layout",
    "Geometry": "app.core.geometry",
    "Layout": "app.formats.layout",
    "Lesson": "worker.segmentation.recipe",
    "Measure": "worker.acquisition.measure",
    "Network": "worker.segmentation.network",
    "Pick": "worker.acquisition.pool",
    "PoolScores": "worker.acquisition.pool",
    "ReadOptions": "app.formats.layout",
    "Recipe": "worker.segmentation.recipe",
    "Rescale": "app.core.rescale",
    "Strategy": "worker.acquisition.pool",
    "VolumeInvalid": "app.core.errors",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
