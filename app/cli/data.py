"""Projects and their data: made, imported, exported."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from app.cli.installation import DataOption, SetOption, database_of, settings_of

if TYPE_CHECKING:
    from app.loop.datasets import Masks

projects = typer.Typer(help="Make projects.", no_args_is_help=True)


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


def import_(
    layout: Annotated[str, typer.Argument(help="msd, brats, dicom …: see `sfumato catalogue`.")],
    path: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    project: Annotated[str, typer.Option(help="Made if it is not there.")],
    with_masks: Annotated[
        str | None,
        typer.Option(help="pool: masks become labels; oracle: hidden, for simulated annotators."),
    ] = None,
    merge_labels: Annotated[
        bool, typer.Option(help="One foreground class of all; otherwise they are kept.")
    ] = False,
    validation: Annotated[float | None, typer.Option(help="Fraction of the cases.")] = None,
    test: Annotated[float | None, typer.Option(help="Fraction of the cases.")] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="Which channel, by name or number; several add up. Without it, all."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 0,
    assignments: SetOption = None,
    data: DataOption = None,
) -> None:
    """Import a data set, a case at a time; run again after an interruption, it goes on."""
    from app.importing import ImportOptions, import_data_set

    options = ImportOptions(
        masks=cast("Masks | None", with_masks),
        merge=merge_labels,
        validation=validation,
        test=test,
        channels=tuple(channel or ()),
        seed=seed,
        assignments=assignments or [],
    )
    import_data_set(database_of(settings_of(data)), layout, path, project, options)


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
    from app.core.errors import InvalidInput, VolumeInvalid
    from app.exporting import ExportOptions, export_project
    from app.loop.chosen_masks import Selection

    if only not in (None, "accepted"):
        raise InvalidInput(f"--only takes accepted, not {only!r}")
    masks = Selection(cast("Literal['accepted'] | None", only), round_, reader, all_readings)
    report = export_project(
        database_of(settings_of(data)),
        project,
        out,
        ExportOptions(format_, masks, source, licence),
        on_case=lambda done, total, case: typer.echo(f"{done} of {total}: {case}", err=True),
    )
    for name, said in report.warnings.items():
        for warning in said:
            typer.echo(f"{name}: {warning}", err=True)
    for remark in report.remarks:
        typer.echo(remark, err=True)
    typer.echo(f"{report.cases} cases with {report.masks} masks are in {out}")
    if report.left_out:
        reasons = "\n".join(f"  {name}: {why}" for name, why in report.left_out.items())
        raise VolumeInvalid(f"{len(report.left_out)} cases were left out:\n{reasons}")


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
