"""`reseed task`: check a task file, and list the tasks there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.cli.evaluate import nearest_tasks_folder
from reseed.contracts.evaluation import (
    Classification,
    Detection,
    LesionClassification,
    ReferenceImages,
    Segmentation,
)
from reseed.contracts.sockets import Socket
from reseed.contracts.task import Task
from reseed.scoring.measures import MEASURES
from reseed.scoring.reference_check import reference_line
from reseed.scoring.tasks import read_task, task_names

app = typer.Typer(no_args_is_help=True, help="Check a task file, and list the tasks there are.")


@app.command("list")
def list_tasks() -> None:
    """List the tasks of evaluation/tasks/."""
    folder = nearest_tasks_folder()
    names = task_names(folder)
    width = max((len(name) for name in names), default=0)
    for name in names:
        typer.echo(f"{name:{width}}  {read_task(name, folder).title}")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A task file, such as task.yaml.")],
    ground_truth: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Read the reference standard as well, every case of it."),
    ] = None,
) -> None:
    """
    Check a task file, and say in words what it asks for.

    Every mistake is one line with its place in the file.

    For instance:

        reseed task check evaluation/tasks/prostate_segmentation.yaml

        reseed task check my_ground_truth/task.yaml --ground-truth my_ground_truth
    """
    task = read_task(file, Path())
    for line in task_lines(task):
        typer.echo(line)
    if ground_truth is not None:
        typer.echo(f"  reference   {reference_line(ground_truth, task)}")


def task_lines(task: Task) -> list[str]:
    """What a task asks for, in words."""
    rule = task.evaluation
    lines = [f"{task.task}: {task.title}"]
    interfaces = [interface.inputs for interface in task.interfaces] or [
        tuple(socket.slug for socket in task.inputs)
    ]
    for slugs in interfaces:
        lines.append(f"  a job gets  {', '.join(_place(task.input(slug)) for slug in slugs)}")
    for slug in dict.fromkeys(rule.outputs.values()):
        lines.append(f"  and writes  {_place(task.output(slug))}")
    for interface in task.interfaces:
        if interface.output is not None:
            place = _place(task.output(interface.output))
            lines.append(f"              with {' + '.join(interface.inputs)}: {place}")
    ending = f"<case>{task.match.ending}"
    told = f"the image is named {ending}" if task.match.by == "image_name" else "its value is the case"
    lines.append(f"  its case    by {task.match.socket}: {told}")
    lines.append(f"  reference   {_reference_words(task)}")
    lines += _metric_lines(task)
    level = f"{100 * task.comparison.confidence_level:g} %"
    lines.append(f"  ranked by   {task.ranking_metric}, intervals at {level}")
    return lines


def _place(socket: Socket) -> str:
    is_image = socket.super_kind == "Image"
    return f"{socket.relative_path}/<one image>" if is_image else socket.relative_path


def _reference_words(task: Task) -> str:
    rule = task.evaluation
    match rule:
        case Classification():
            return f"{rule.reference.file}: one row per case, {rule.reference.label} 0 or 1"
        case LesionClassification():
            return f"{rule.reference.file}: one row per lesion, {rule.reference.label} 0 or 1"
        case Segmentation():
            labels = ", ".join(f"{name} = {_values(values)}" for name, values in rule.labels.items())
            return f"{_images_words(rule.reference)}; {labels}"
        case Detection():
            labels = "any value but 0" if rule.lesion_labels is None else _values(rule.lesion_labels)
            hit = f"a hit from {rule.overlap} {rule.min_overlap:g}, {rule.matching.replace('_', ' ')} first"
            return f"{_images_words(rule.reference)}; a lesion is {labels}; {hit}"


def _images_words(reference: ReferenceImages) -> str:
    if reference.layout == "files":
        return f"{reference.folder}/<case>.<image>"
    return f"{reference.folder}/dataset.json and {reference.split}/<case>.<image>"


def _values(values: tuple[int, ...]) -> str:
    return " or ".join(str(value) for value in values)


def _metric_lines(task: Task) -> list[str]:
    measures = MEASURES[task.evaluation.kind]
    lines = []
    for word, metrics in (("compared", task.metrics), ("reported", task.reported)):
        for metric in metrics:
            measure = measures[metric]
            unit = f" in {measure.unit}" if measure.unit else ""
            policy = ""
            if isinstance(task.evaluation, Segmentation):
                rule = task.evaluation.aggregation[metric]
                policy = (
                    f": {rule.statistic} over cases; both empty {_worth(rule.both_empty)}, "
                    f"one empty {_worth(rule.one_empty)} where undefined"
                )
            lines.append(f"  {word}    {metric}, {measure.title}{unit}{policy}")
    return lines


def _worth(value: float | str) -> str:
    return "left out" if isinstance(value, str) else f"{value:g}"
