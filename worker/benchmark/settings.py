"""What a benchmark is of: the ground, the loop, the network; and the presets."""

import os
import platform
from importlib.metadata import version
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from app.core.project_settings import QuerySettings, TrainingSettings
from worker.segmentation.machine import machine
from worker.segmentation.precision import Precision

_LIBRARIES = ("sfumato", "torch", "numpy", "scipy", "kornia", "statsmodels", "scikit-learn")


class GroundSettings(BaseModel):
    """Which data, and how they are read and divided."""

    model_config = ConfigDict(extra="forbid")

    layout: str = Field("msd", description="A name of the catalogue.")
    channels: list[str] | None = Field(
        None,
        description="Names or numbers, in order; without them, all that the layout offers, "
        "but of BraTS FLAIR alone, as in the paper.",
    )
    channel: int | str | None = Field(
        None, description="One channel, as older records have it; `channels` goes before it."
    )
    merge_labels: bool = Field(False, description="One foreground class of all.")
    cases: int | None = Field(None, ge=3, description="Only the first so many cases, by name.")
    window: tuple[float, float] | None = Field(
        None, description="Level and width that intensities are cut to, in the file's units."
    )
    shrink: int = Field(1, ge=1, description="Pixels averaged along each side.")
    validation: float = Field(
        0.15, ge=0, lt=1, description="Fraction of the cases; 0 where the recipe needs none."
    )
    test: float = Field(0.3, gt=0, lt=1, description="Fraction of the cases.")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The channels that are read, or none for all on offer."""
        if self.channels is not None:
            return tuple(self.channels)
        if self.channel is not None:
            return (str(self.channel),)
        # What records of BraTS from before there were channels have read.
        return ("flair",) if self.layout == "brats" else ()


class PhantomSettings(BaseModel):
    """The size of a phantom that is written when no data are given."""

    model_config = ConfigDict(extra="forbid")

    cases: int = 60
    slices: int = 20
    size: int = 64
    seed: int = 0


class BenchmarkSettings(BaseModel):
    """All that the results depend on, except strategy and seed."""

    model_config = ConfigDict(extra="forbid")

    preset: str | None = None
    ground: GroundSettings = GroundSettings()
    phantom: PhantomSettings | None = None
    rounds: int = Field(6, ge=2)
    init: Literal["random", "k-centre", "foreground"] = "random"
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="What networks compute with, in training and in scoring."
    )
    query: QuerySettings = QuerySettings()
    training: TrainingSettings = TrainingSettings()

    @property
    def initial(self) -> int:
        """Slices labelled before the first round."""
        return self.query.initial_size or self.query.size

    def labelled(self, round_: int) -> int:
        """Slices labelled in a round, the first being 1, if the pool is large enough."""
        return self.initial + (round_ - 1) * self.query.size


def settings_kept(found: dict[str, Any]) -> BenchmarkSettings:
    """Settings as a folder keeps them; what a later version added has its default.

    Before there were recipes all networks were trained as the paper does; what the presets were
    then is named after it now.
    """
    training, preset = found.get("training", {}), found.get("preset")
    if "recipe" not in training:
        preset = f"{preset}-paper" if f"{preset}-paper" in PRESETS else preset
    training = {"recipe": "paper", **training}
    return BenchmarkSettings.model_validate({**found, "preset": preset, "training": training})


def _small(
    ground: GroundSettings,
    initial: int,
    size: int,
    rounds: int,
    phantom: PhantomSettings | None = None,
    width: int = 8,
) -> BenchmarkSettings:
    """A benchmark for a few cores: narrow networks, few slices; validation costs no label."""
    return BenchmarkSettings(
        ground=ground.model_copy(update={"validation": 0.0}),
        phantom=phantom,
        rounds=rounds,
        query=QuerySettings(initial_size=initial, size=size, mc_passes=5),
        # Members only cost time here: more steps of one network bring more than more networks do.
        training=TrainingSettings(width=width, members=1),
    )


def _as_published(small: BenchmarkSettings) -> BenchmarkSettings:
    """The same in the manner of the paper, with the short patience of our first tables."""
    training = TrainingSettings(
        recipe="paper",
        width=8,
        learning_rate=0.002,
        batch_size=8,
        epochs=30,
        patience=3,
        min_steps=30,
        max_validation_slices=96,
    )
    ground = small.ground.model_copy(update={"validation": 0.15})
    return small.model_copy(update={"ground": ground, "training": training})


_SMALL = {
    "lgg-flair-small": _small(GroundSettings(shrink=4), initial=40, size=40, rounds=5),
    "hippocampus-small": _small(GroundSettings(shrink=2, cases=60), initial=20, size=20, rounds=5),
    "phantom-small": _small(
        GroundSettings(shrink=2), initial=20, size=20, rounds=5, phantom=PhantomSettings()
    ),
}

PRESETS: dict[str, BenchmarkSettings] = {
    "paper-brats-lgg": BenchmarkSettings(
        ground=GroundSettings(layout="brats"),
        rounds=23,
        query=QuerySettings(initial_size=500, size=100),
        training=TrainingSettings(recipe="paper", batch_size=32),
    ),
    "paper-msd-spleen": BenchmarkSettings(
        ground=GroundSettings(layout="msd", window=(50.0, 400.0)),
        rounds=14,
        query=QuerySettings(initial_size=150, size=50),
        training=TrainingSettings(recipe="paper", batch_size=16),
    ),
    **_SMALL,
    # More pixels and wider networks: minutes become hours.
    "lgg-flair": _small(GroundSettings(shrink=2), initial=40, size=40, rounds=5, width=16),
    "lgg-flair-large": _small(GroundSettings(), initial=40, size=40, rounds=5, width=32),
    **{f"{name}-paper": _as_published(small) for name, small in _SMALL.items()},
}


def surroundings() -> dict[str, Any]:
    """Versions and machine, for the record."""
    here = machine(torch.device("cpu"), Precision(False))
    return {
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "platform": platform.platform(),
        "processor": here.processor,
        "instructions": " ".join([here.instruction_set, *here.extensions]),
        "limits": here.limits,
        "cores": os.cpu_count(),
        "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }
