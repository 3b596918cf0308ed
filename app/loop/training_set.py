"""What a model learns from: which labelled slices are for what, and their pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, null, select
from sqlalchemy.orm import Session

from app.core.pixels import Pixels, decode
from app.core.project_settings import training_settings
from app.core.splits import Split, held_out_cases
from app.store import Case, Label, Mask, Project, Slice, SliceImage

# Slices whose pixels are read at once: bounds memory, whatever the size of the pool.
_PAGE = 64


@dataclass(frozen=True)
class CaseMoments:
    """Mean and standard deviation of a whole case's stored intensities."""

    mean: float
    std: float


@dataclass(frozen=True)
class LoadedSlice:
    """A slice with its pixels: image (H, W) uint8 or uint16, classes (H, W) or None."""

    slice_id: int
    case: str
    index: int
    image: Pixels
    moments: CaseMoments
    classes: Pixels | None = None


@dataclass(frozen=True)
class LabelledSlices:
    """The ids of labelled slices by use, and which validation it is.

    ``validation_kind`` is ``validation`` for the split of that name, ``held-out`` for a seeded
    fifth of the labelled pool cases, ``none`` when a single case is labelled.
    """

    training: list[int]
    validation: list[int]
    test: list[int]
    mask_ids: list[int]
    validation_kind: str


def labelled_slices(session: Session, project: Project) -> LabelledSlices:
    """Divide what is labelled. Test slices are named apart: they touch nothing but the Dice."""
    settings = training_settings(project)
    rows = session.execute(
        select(Slice.id, Slice.split, Case.name, Label.mask_id)
        .join(Label, Label.slice_id == Slice.id)
        .join(Case, Case.id == Slice.case_id)
        .where(Slice.project_id == project.id)
        .order_by(Slice.id)
    ).all()
    pool = [r for r in rows if r.split is Split.POOL]
    validation = [r.id for r in rows if r.split is Split.VALIDATION]
    kind = "validation"
    held_out: set[str] = set()
    if len(validation) < settings.min_validation_slices:
        held_out = held_out_cases({r.name for r in pool}, settings.seed)
        validation = [r.id for r in pool if r.name in held_out]
        kind = "held-out" if held_out else "none"
    training = [r for r in pool if r.name not in held_out]
    return LabelledSlices(
        training=[r.id for r in training],
        validation=validation,
        test=[r.id for r in rows if r.split is Split.TEST],
        mask_ids=[r.mask_id for r in training],
        validation_kind=kind,
    )


def load_slices(
    session: Session, slice_ids: Sequence[int], with_labels: bool = False
) -> Iterator[LoadedSlice]:
    """The slices of these ids in this order, their pixels read a page at a time."""
    moments: dict[int, CaseMoments] = {}
    for start in range(0, len(slice_ids), _PAGE):
        page = slice_ids[start : start + _PAGE]
        columns = select(Slice, Case.name, SliceImage.png, Mask.png if with_labels else null())
        query = (
            columns.join(Case, Case.id == Slice.case_id)
            .join(SliceImage, SliceImage.slice_id == Slice.id)
            .where(Slice.id.in_(page))
        )
        if with_labels:
            query = query.join(Label, Label.slice_id == Slice.id).join(
                Mask, Mask.id == Label.mask_id
            )
        rows = {row[0].id: row for row in session.execute(query)}
        _add_moments(session, moments, {row[0].case_id for row in rows.values()})
        for slice_id in page:
            slice_, case, image, mask = rows[slice_id]
            yield LoadedSlice(
                slice_id=slice_id,
                case=case,
                index=slice_.index,
                image=decode(image),
                moments=moments[slice_.case_id],
                classes=decode(mask) if mask is not None else None,
            )


def _add_moments(session: Session, known: dict[int, CaseMoments], cases: set[int]) -> None:
    query = (
        select(Slice.case_id, func.avg(Slice.mean), func.avg(Slice.mean_square))
        .where(Slice.case_id.in_(cases - known.keys()))
        .group_by(Slice.case_id)
    )
    for case_id, mean, mean_square in session.execute(query):
        known[case_id] = CaseMoments(mean, max(mean_square - mean * mean, 0.0) ** 0.5)
