"""The options of `reseed data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SourceArgument = Annotated[
    Path,
    typer.Argument(
        help="Folder of the Medical Segmentation Decathlon or nnU-Net (imagesTr, labelsTr), folder with "
        " images/ and labels/, folder of DICOM series, folder of CT scans, or .npz file."
    ),
]
TasksOption = Annotated[
    list[str],
    typer.Option(
        metavar="NAME|FILE",
        help="The task whose sockets the cases fill. Repeat to write the references of several tasks of "
        "the same images; the label values of the first one train.",
    ),
]
DatasetOutOption = Annotated[
    Path, typer.Option(metavar="DIR", help="Dataset folder to make; its name is the dataset's.")
]
ChannelOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SLUG=WHICH",
        help="Which images fill an input socket: the number of a channel, or for DICOM a pattern of the "
        "series description or folder. Repeat for several inputs.",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OLD=NEW",
        help="Change a value of the label maps; TASK:OLD=NEW does for one of several tasks. Repeat.",
    ),
]
LabelFolderOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="For DICOM: the folder with CASE.nii.gz label maps.")
]
NodulesOption = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="For CT scans: columns case, patient, nodule, x_mm, y_mm, z_mm, label."),
]
SpacingOption = Annotated[
    tuple[float, float, float] | None,
    typer.Option(metavar="X Y Z", help="For .npz: distance of voxels in mm, recorded as nominal."),
]
HounsfieldOption = Annotated[
    tuple[float, float],
    typer.Option(metavar="LOW HIGH", help="For .npz of CT nodules: what bytes 0 and 255 stand for."),
]
PatientsOption = Annotated[
    Path | None, typer.Option(metavar="CSV", help="Columns case and patient: whose each case is.")
]
SplitOption = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="Columns part (training, test) and case or patient; else drawn."),
]
TestFractionOption = Annotated[
    float, typer.Option(metavar="F", help="Part of the patients that a drawn split holds out.")
]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="Of a drawn split.")]
SkipOption = Annotated[list[str] | None, typer.Option(metavar="CASE", help="Leave a case out. Repeat.")]
SkipUnpairedOption = Annotated[
    bool, typer.Option("--skip-unpaired", help="Leave out images without label map and the reverse.")
]
CasesOnlyOption = Annotated[
    bool,
    typer.Option("--cases-only", help="Write cases to predict, as under /input; no reference, no split."),
]
TitleOption = Annotated[str, typer.Option(help="Of the dataset.")]
LicenceOption = Annotated[str, typer.Option(help="Of the data.")]
CitationOption = Annotated[str, typer.Option(help="What to cite.")]
