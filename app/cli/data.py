"""Projects and their data: made, imported, exported."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from app.cli import dicomweb
from app.cli.installation import DataOption, SetOption, database_of, settings_of

if TYPE_CHECKING:
    from app.core.geometry import Plane
    from app.loop.datasets import Masks
    from app.loop.life_cycle import Change

projects = typer.Typer(help="Make, rename, archive and delete projects.", no_args_is_help=True)


@projects.command("create")
def project_create(
    name: str,
    classes: Annotated[str, typer.Option(help="Comma-separated, background first.")],
    channels: Annotated[str, typer.Option(help="Comma-separated, such as t1,t2,flair.")] = "image",
    assignments: SetOption = None,
    data: DataOption = None,
) -> None:
    """Make a project."""
    from pydantic import ValidationError

    from app.core.errors import InvalidInput
    from app.core.project_settings import ProjectSettings, in_words, with_assignments
    from app.loop.projects import create_project

    named = {"classes": classes, "channels": channels}
    try:
        settings = ProjectSettings.model_validate(
            {kind: [name.strip() for name in names.split(",")] for kind, names in named.items()}
        )
    except ValidationError as error:
        raise InvalidInput(f"no project can have these names: {in_words(error)}") from error
    with database_of(settings_of(data)).writing() as session:
        create_project(session, name, with_assignments(settings, assignments or []))
    typer.echo(f"project {name} is made")


@projects.command("list")
def project_list(data: DataOption = None) -> None:
    """Show all projects: their classes, and which are archived."""
    from sqlalchemy import select

    from app.store import Project

    with database_of(settings_of(data)).reading() as session:
        found = session.scalars(select(Project).order_by(Project.id)).all()
        for one in found:
            archived = f"  archived on {one.archived_at:%Y-%m-%d}" if one.archived_at else ""
            typer.echo(f"{one.name}  {', '.join(one.classes)}{archived}")
    if not found:
        typer.echo("there is no project yet: sfumato project create makes one, or an import")


@projects.command("rename")
def project_rename(name: str, new: str, data: DataOption = None) -> None:
    """Call a project something else. Its old name is free at once."""
    from app.loop.life_cycle import Change

    _change(name, Change(name=new), data)
    typer.echo(f"project {name} is called {new} now")


@projects.command("archive")
def project_archive(name: str, data: DataOption = None) -> None:
    """Let nobody change a project any more; it is read and exported as before."""
    from app.loop.life_cycle import Change

    _change(name, Change(archived=True), data)
    typer.echo(f"project {name} is archived")


@projects.command("bring-back")
def project_bring_back(name: str, data: DataOption = None) -> None:
    """Let an archived project go on."""
    from app.loop.life_cycle import Change

    _change(name, Change(archived=False), data)
    typer.echo(f"project {name} goes on")


def _change(name: str, change: "Change", data: Path | None) -> None:
    from app.loop.access import HERE
    from app.loop.life_cycle import change_project
    from app.loop.projects import find_project
    from app.store import Role

    with database_of(settings_of(data)).writing() as session:
        # A retraining that is due now is announced by the service's next sweep.
        change_project(session, find_project(session, HERE, name, Role.ADMIN), change, None)


@projects.command("delete")
def project_delete(
    name: str,
    confirm: Annotated[
        str | None, typer.Option(help="Its name again; without it, only counts what would go.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Delete a project with its cases, masks and models."""
    from app.loop.access import HERE
    from app.loop.deletes import steps
    from app.loop.deletions import of_project

    database = database_of(settings_of(data))
    with database.reading() as session:
        planned = of_project(session, HERE, name)
    for kind, count in planned.counts.items():
        typer.echo(f"{count:>9} {kind}")
    if confirm is None:
        typer.echo(f"nothing is deleted: add --confirm {planned.confirm!r} to delete all of this")
        return
    for step in steps(planned, confirm, None):
        with database.writing() as session:
            step(session)
    database.forget_log()
    typer.echo(f"project {name} is deleted")


def import_(
    layout: Annotated[
        str,
        typer.Argument(
            help="auto, dicom, dicomweb, nifti, nnunet, msd, brats …: see `sfumato catalogue`."
        ),
    ],
    path: Annotated[
        str, typer.Argument(help="Folder of the data set; of dicomweb, the server's address.")
    ],
    project: Annotated[str, typer.Option(help="Made if it is not there.")],
    with_masks: Annotated[
        str | None,
        typer.Option(help="pool: masks become labels; oracle: hidden, for simulated annotators."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what would come in; keep nothing.")
    ] = False,
    merge_labels: Annotated[
        bool, typer.Option(help="One foreground class of all; otherwise they are kept.")
    ] = False,
    validation: Annotated[float | None, typer.Option(help="Fraction of the cases.")] = None,
    test: Annotated[float | None, typer.Option(help="Fraction of the cases.")] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="Which channel, by name or number; several add up. Without it, all."),
    ] = None,
    plane: Annotated[
        str | None,
        typer.Option(help="axial, coronal or sagittal; without it, the plane of acquisition."),
    ] = None,
    trust_voxels: Annotated[
        bool,
        typer.Option(help="Label maps lie on their images voxel by voxel, whatever they say."),
    ] = False,
    images: Annotated[
        str | None, typer.Option(help="Pattern of the images, such as '{case}/{channel}.nii.gz'.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Pattern of the label maps.")] = None,
    pseudonyms: Annotated[
        Path | None,
        typer.Option(help="CSV file that keeps which case is which; cases go by its names."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 0,
    processes: Annotated[
        int | None,
        typer.Option(min=0, help="That read and encode; 0 for none of their own. Default: all."),
    ] = None,
    study: dicomweb.StudyOption = None,
    series: dicomweb.SeriesOption = None,
    query: dicomweb.QueryOption = None,
    user: dicomweb.UserOption = None,
    password_file: dicomweb.PasswordFileOption = None,
    token_file: dicomweb.TokenFileOption = None,
    authority: dicomweb.AuthorityOption = None,
    certificate: dicomweb.CertificateOption = None,
    assignments: SetOption = None,
    data: DataOption = None,
) -> None:
    """Import a data set, a case at a time; run again after an interruption, it goes on."""
    from app.formats.processes import default_count
    from app.importing import ImportOptions
    from app.transfers.terminal import import_data_set

    options = ImportOptions(
        masks=cast("Masks | None", with_masks),
        merge=merge_labels,
        validation=validation,
        test=test,
        channels=tuple(channel or ()),
        seed=seed,
        assignments=assignments or [],
        check=check,
        plane=cast("Plane | None", plane),
        trust_voxels=trust_voxels,
        images=images,
        labels=labels,
        pseudonyms=pseudonyms,
        processes=default_count() if processes is None else processes,
    )
    settings = settings_of(data)
    asked = dicomweb.asked_of(study, series, query)
    signing = dicomweb.Signing(user, password_file, token_file, authority, certificate)
    if layout == dicomweb.NAME:
        dicomweb.run(settings, path, asked, signing, project, options)
        return
    dicomweb.refuse_elsewhere(asked, signing)
    import_data_set(database_of(settings), layout, Path(path), project, options)


def export(
    project: Annotated[str, typer.Option()],
    out: Annotated[Path, typer.Option(help="A folder that is not there yet.")],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="decathlon, nnunet, nifti, dicom-seg, dicom-labelmap, coco or png: see "
            "`sfumato catalogue`.",
        ),
    ] = "decathlon",
    only: Annotated[
        str | None, typer.Option(help="accepted: only masks that a reviewer accepted.")
    ] = None,
    round_: Annotated[
        int | None, typer.Option("--round", help="Only slices that this round asked for.")
    ] = None,
    reader: Annotated[
        str | None, typer.Option(help="This account's masks, not the labels.")
    ] = None,
    all_readings: Annotated[
        bool, typer.Option("--all-readings", help="Each annotator's masks too, side by side.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the original DICOM series: its patients are named in segmentations, "
            "which else name nobody."
        ),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="For the card: an address or words.")] = None,
    data: DataOption = None,
) -> None:
    """Export images, masks and the newest model, with a card of how they came about."""
    from app.core.errors import InvalidInput
    from app.exporting import ExportOptions
    from app.loop.chosen_masks import Selection
    from app.transfers.terminal import export_data_set

    if only not in (None, "accepted"):
        raise InvalidInput(f"--only takes accepted, not {only!r}")
    masks = Selection(cast("Literal['accepted'] | None", only), round_, reader, all_readings)
    options = ExportOptions(format_, masks, source, licence)
    export_data_set(database_of(settings_of(data)), project, out, options)


def phantom(
    folder: Path,
    cases: Annotated[int, typer.Option(min=1)] = 48,
    slices: Annotated[int, typer.Option(min=3)] = 20,
    size: Annotated[int, typer.Option(min=32)] = 64,
    seed: int = 0,
    layout: Annotated[str, typer.Option(help="msd, or png for single pictures")] = "msd",
) -> None:
    """Write a synthetic data set: no anatomy, no patient, for trying things out."""
    from app.formats.phantom import write_phantom, write_phantom_pictures

    writers = {"msd": write_phantom, "png": write_phantom_pictures}
    if layout not in writers:
        raise typer.BadParameter(f"the layout is one of {', '.join(writers)}")
    writers[layout](folder, cases, slices, size, seed)
    typer.echo(f"{cases} cases of {slices} slices at {size} × {size} are in {folder}")


def catalogue() -> None:
    """List what may be asked for by name, and which package brings it."""
    from app.core.catalogue import KINDS, entries

    for kind in KINDS:
        for entry in entries(kind).values():
            typer.echo(f"{kind:<10} {entry.name:<32} {entry.package}")


def add_to(cli: typer.Typer) -> None:
    """Put these commands into the command line."""
    cli.add_typer(projects, name="project")
    cli.command("import")(import_)
    cli.command()(export)
    cli.command()(phantom)
    cli.command()(catalogue)
