"""The settings of one project, validated wherever they come from."""

from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import (
    Field,
    ValidationError,
    model_validator,
)

from app.core.errors import InvalidInput
from app.core.plain import Strict

Consensus = Literal["staple", "majority"]
# Channels are named in addresses and file names.
CHANNEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,31}$"

MOST_CLASSES = 64


class QuerySettings(Strict):
    """How a round's batch is chosen. Thresholds are those of the paper's eqs. 1 and 2."""

    strategy: str = Field(
        "entropy-selective", min_length=1, max_length=64, description="A name of the catalogue."
    )
    size: int = Field(50, ge=1, le=10_000, description="Slices a round.")
    initial_size: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Slices of the first round; without it, `size`.",
    )
    initial: Literal["random", "k-centre"] = Field(
        "random",
        description="How the first round is chosen: at random, or varied by how slices look.",
    )
    retrain_after: int | None = Field(
        None,
        ge=1,
        description="Labels that start a retraining; without it, the whole batch.",
    )
    target_threshold: float = Field(
        0.1, ge=0, lt=1, description="Predicted probability above which a pixel is target."
    )
    boundary_width: float = Field(
        0.1,
        gt=0,
        le=0.5,
        description="Distance from 0.5 within which a pixel lies near the decision boundary.",
    )
    reduction: Literal["sum", "mean"] = "sum"
    mc_passes: int = Field(
        10,
        ge=2,
        le=100,
        description="Stochastic passes for MC-dropout and BALD of one network; of several members "
        "each is a pass, and there are no others.",
    )
    stop_below: float = Field(
        0.01, ge=0, description="Dice gained per 100 labels below which an end is suggested."
    )
    stop_rounds: int = Field(3, ge=1, description="Rounds that this is judged by.")
    review: bool = Field(False, description="Only accepted masks train.")
    readers_per_slice: int = Field(
        1, ge=1, le=9, description="Annotators who each draw a slice, unseen by the others."
    )
    consensus: Consensus = Field("staple", description="How several readings become one mask.")
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @property
    def labels_by(self) -> tuple[bool, int]:
        """What decides which of a slice's masks is its label."""
        return self.review, self.readers_per_slice


class TrainingSettings(Strict):
    """How the network is trained. What is None is as the recipe has it."""

    recipe: str = Field(
        "robust", min_length=1, max_length=64, description="A name of the catalogue."
    )
    network: str = Field(
        "unet", min_length=1, max_length=64, description="A name of the catalogue."
    )
    context: int = Field(
        0, ge=0, le=8, description="Slices before and after that the network sees too."
    )
    width: int = Field(32, ge=2, le=128, description="Channels of the first level.")
    dropout: float = Field(0.5, gt=0, lt=1)
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="Without it, the recipe's: 1e-4 of `paper`."
    )
    batch_size: int | None = Field(
        None, ge=1, le=1024, description="Slices a step; without it, the recipe's: 32 of `paper`."
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Times that all slices are gone through at most; without it, the recipe's: "
        "100 of `paper`.",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Steps of a training with `robust`; without it, as many as the slices take.",
    )
    members: int | None = Field(
        None,
        ge=1,
        le=16,
        description="Networks that are trained and averaged; without it, the recipe's.",
    )
    min_steps: int | None = Field(
        None,
        ge=1,
        description="Of `paper`: steps an epoch takes at least; few slices are gone through "
        "repeatedly.",
    )
    patience: int = Field(
        5, ge=1, description="Of `paper`: epochs without a better validation loss."
    )
    from_scratch: bool = Field(False, description="Forget the last round's weights.")
    augment: bool = True
    min_validation_slices: int = Field(
        16,
        ge=1,
        description="Labelled validation slices from which that split is used.",
    )
    max_validation_slices: int | None = Field(
        None,
        ge=1,
        description="Of `paper`: validation slices that stopping looks at; without it, all.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1)


class ProjectSettings(Strict):
    """All that a project is created with."""

    classes: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        ["background", "target"],
        min_length=2,
        max_length=MOST_CLASSES,
        description="Names by class index; index 0 is the background.",
    )
    channels: list[Annotated[str, Field(pattern=CHANNEL_NAME)]] = Field(
        ["image"],
        min_length=1,
        max_length=16,
        description="Names of what a slice shows, such as the sequences of an MRI, in order.",
    )
    query: QuerySettings = QuerySettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for what, names in (("classes", self.classes), ("channels", self.channels)):
            if len({name.casefold() for name in names}) != len(names):
                raise ValueError(f"two {what} have the same name: {', '.join(names)}")
        return self


class _Kept(Protocol):
    """A stored project: its settings as they lie in the database."""

    classes: Any
    channels: Any
    query: Any
    training: Any


def settings_of(project: _Kept) -> ProjectSettings:
    """All settings of a stored project."""
    return ProjectSettings(
        classes=project.classes,
        channels=project.channels,
        query=query_settings(project),
        training=training_settings(project),
    )


def query_settings(project: _Kept) -> QuerySettings:
    """A stored project's query settings."""
    return QuerySettings.model_validate(project.query)


def job_query_settings(payload: dict[str, Any], project: _Kept) -> QuerySettings:
    """The query settings that a retraining began with, whatever an admin has changed since."""
    return QuerySettings.model_validate(payload.get("query", project.query))


def training_settings(project: _Kept) -> TrainingSettings:
    """A stored project's training settings."""
    return TrainingSettings.model_validate(project.training)


def in_words(error: ValidationError) -> str:
    """What pydantic found, as a person would say it: where, and what is wrong."""
    return "; ".join(
        f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}".removeprefix(": ")
        for found in error.errors()
    ).replace("Value error, ", "")


def with_assignments(settings: ProjectSettings, assignments: list[str]) -> ProjectSettings:
    """Settings changed by ``query.size=20`` and the like; numbers and booleans are recognised."""
    values: dict[str, Any] = settings.model_dump()
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        section, _, key = name.strip().partition(".")
        if not equals or section not in ("query", "training") or key not in values[section]:
            raise InvalidInput(
                f"cannot set {assignment!r}: write query.NAME=VALUE or training.NAME=VALUE, "
                f"with NAME one of {', '.join([*values['query'], *values['training']])}"
            )
        values[section][key] = None if value == "none" else value
    try:
        return ProjectSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(f"these settings cannot be used: {in_words(error)}") from error
