"""What is to be done with the cases of a listing: names, splits, channels and classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import select

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.project_settings import (
    MOST_CLASSES,
    ProjectSettings,
    in_words,
    with_assignments,
)
from app.core.splits import Split, assign_splits
from app.formats.opening import Listing
from app.formats.source import Handling
from app.importing.naming import Names, Pseudonyms, safe_names
from app.importing.options import ImportOptions
from app.loop.access import refuse_archived
from app.loop.capabilities import check_names
from app.store import Case, Database, Project

# With masks there is something to validate and to test on; without, all of it is pool.
_VALIDATION_WITH_MASKS, _TEST_WITH_MASKS = 0.1, 0.2
# What a class is called that nobody has named.
_ANY_TARGET = frozenset({"target", "foreground", "mask", "object"})


@dataclass(frozen=True)
class Plan:
    """What is to be done with the cases of a listing."""

    listing: Listing
    warnings: tuple[str, ...]
    names: Names
    splits: dict[str, Split]
    project: str
    was_there: bool
    settings: ProjectSettings
    handling: Handling

    def split_of(self, number: int) -> Split:
        """The data set's own, else by the seed."""
        return self.splits[self.names.kept[number]]


def make_plan(
    database: Database,
    project: str,
    options: ImportOptions,
    listing: Listing,
    pseudonyms: Pseudonyms | None,
) -> Plan:
    """What to do with a listing. Raises ``VolumeInvalid``, ``InvalidInput``."""
    names = (
        pseudonyms.names(listing.cases, not options.check)
        if pseudonyms
        else safe_names(listing.cases)
    )
    settings = _settings(listing, options)
    found = _found(database, project)
    if found is not None:
        refuse_archived(found.name, found.archived_at)
        _check_same(found, settings, options.assignments)
        settings = ProjectSettings.model_validate(
            {"classes": found.classes, "channels": found.channels}
        )
    else:
        # Now, and not once for every case: no project can be made with these.
        with database.reading() as session:
            check_names(session, settings)
    classes, renamed = class_order(
        settings.classes, listing.classes if options.masks and not options.merge else None
    )
    return Plan(
        warnings=(*listing.warnings, *renamed),
        listing=listing,
        names=names,
        splits=_splits(listing, names, options, _splits_of(database, found)),
        project=project,
        was_there=found is not None,
        settings=settings,
        handling=Handling(
            channels=tuple(channel_order(tuple(settings.channels), listing.channels)),
            classes=classes if options.masks else None,
            names=tuple(listing.classes or settings.classes),
            merge=options.merge,
            # A project that is there is compared with, also where nothing is kept.
            encode=not options.check or found is not None,
        ),
    )


def _splits(
    listing: Listing, names: Names, options: ImportOptions, there: Mapping[str, Split]
) -> dict[str, Split]:
    """What each case is for: one that is there stays what it is, others by the data set's own
    splits, else by fractions.
    """
    validation, test = options.validation, options.test
    with_masks = options.masks is not None
    if listing.splits and validation is None and test is None and with_masks:
        # Cases that the data set does not name are pool.
        splits = {
            kept: listing.splits.get(raw, Split.POOL)
            for raw, kept in zip(listing.cases, names.kept, strict=True)
        }
    else:
        splits = assign_splits(
            names.kept,
            (_VALIDATION_WITH_MASKS if with_masks else 0.0) if validation is None else validation,
            (_TEST_WITH_MASKS if with_masks else 0.0) if test is None else test,
            options.seed,
        )
    return splits | {name: there[name] for name in splits if name in there}


def channel_order(kept: Sequence[str], offered: Sequence[str]) -> list[int]:
    """Which of the offered channels is each of a project's, by name.

    A project's single channel ``image`` has no name of its own and takes any. Raises
    ``VolumeInvalid``.
    """
    if len(kept) == len(offered) == 1 and "image" in (*kept, *offered):
        return [0]
    places = {name.casefold(): number for number, name in enumerate(offered)}
    if len(places) != len(kept) or any(name.casefold() not in places for name in kept):
        raise VolumeInvalid(
            f"the project has the channels {', '.join(kept)}, the data set would bring "
            f"{', '.join(offered)}: name them with --channel, or import into another project"
        )
    return [places[name.casefold()] for name in kept]


def class_order(
    kept: Sequence[str], offered: Sequence[str] | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The project's number of each class of a data set, by its name; and what to tell.

    A data set that names none has the project's, in their order. Where either side calls its one
    class by a word for any target, the two are the same. Raises ``VolumeInvalid`` where a name
    is none of the project's.
    """
    if offered is None:
        return tuple(range(len(kept))), ()
    both = [names[1].casefold() for names in (kept, offered) if len(names) == 2]
    if len(set(both)) == 2 and not _ANY_TARGET.isdisjoint(both):
        return (0, 1), (f"the class {offered[1]!r} is taken for {kept[1]!r} of the project",)
    places = {name.casefold(): number for number, name in enumerate(kept)}
    # Whatever either calls it, the first is where nothing is.
    numbers = [0, *(places.get(name.casefold()) for name in offered[1:])]
    known = [number for number in numbers if number is not None]
    if len(set(known)) < len(offered):
        raise VolumeInvalid(
            f"the project has the classes {', '.join(kept)}, the data set {', '.join(offered)}: "
            "name them alike, merge them with --merge-labels, or import into another project"
        )
    return tuple(known), ()


def _splits_of(database: Database, project: Project | None) -> dict[str, Split]:
    """What the cases of a project are for, by their names."""
    if project is None:
        return {}
    query = select(Case.name, Case.split).where(Case.project_id == project.id)
    with database.reading() as session:
        return {name: split for name, split in session.execute(query)}


def _found(database: Database, name: str) -> Project | None:
    with database.reading() as session:
        return session.scalar(select(Project).where(Project.name == name))


def channels_of(database: Database, name: str) -> tuple[str, ...]:
    """The channels of a project that is there."""
    found = _found(database, name)
    return tuple(found.channels) if found else ()


def _settings(listing: Listing, options: ImportOptions) -> ProjectSettings:
    """What a project for a data set is made with."""
    brought = listing.classes or ()
    if len(brought) > MOST_CLASSES and not options.merge:
        raise VolumeInvalid(
            f"the data set brings {len(brought)} classes ({', '.join(brought[:5])} …), a project "
            f"has at most {MOST_CLASSES}: merge them with --merge-labels, or import parts of it"
        )
    named = {
        "classes": None if options.merge else list(brought),
        "channels": list(listing.channels),
    }
    try:
        base = ProjectSettings.model_validate({k: v for k, v in named.items() if v})
    except ValidationError as error:
        raise VolumeInvalid(
            f"the names in the data set cannot be a project's: {in_words(error)}"
        ) from error
    return with_assignments(base, options.assignments)


def _check_same(found: Project, wanted: ProjectSettings, assignments: list[str]) -> None:
    """Raise ``InvalidInput`` when a project that is there has other settings than those asked."""
    settings = (wanted.query.model_dump(), wanted.training.model_dump())
    if assignments and (found.query, found.training) != settings:
        raise InvalidInput(f"project {found.name!r} is there with other settings: omit --set")
