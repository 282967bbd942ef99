"""The commands by name, each imported only when it is typed: `reseed --help` answers at once."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class CommandPlace:
    """Where a command is written, and its one line in the list of commands."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "run": CommandPlace("study", "run", "Retrain, predict, score and compare every run of every method."),
    "plan": CommandPlace("study", "plan", "Print the jobs of a study and which of them are done."),
    "cancel": CommandPlace("cluster", "cancel", "End a study's jobs in Slurm, after they have checkpointed."),
    "status": CommandPlace("status", "status", "Say how a study, or a submission to a service, stands."),
    "prune": CommandPlace("prune", "prune", "Remove what a study no longer needs."),
    "train": CommandPlace("study", "train", "Do only the preprocessing and the trainings of a study."),
    "evaluate": CommandPlace("evaluate", "evaluate", "Score one run's predictions against the reference."),
    "task": CommandPlace("task", "app", "Check a task file, and list the tasks there are."),
    "reference-results": CommandPlace(
        "reference_results", "reference_results", "Put a study's results into a ground truth folder."
    ),
    "compare": CommandPlace("compare", "compare", "Compare training methods from the scores of all runs."),
    "verify": CommandPlace("verify", "verify", "Retrain a recorded run and say whether it is the same."),
    "report": CommandPlace("report", "report", "Write the report of a study as one HTML file."),
    "diff": CommandPlace("difference", "diff", "Show what differs between two runs, most suspicious first."),
    "variation": CommandPlace(
        "variation", "variation", "Say how much each source of variation moves the score of a retraining."
    ),
    "power": CommandPlace("power", "power", "Say how many runs and patients it takes to see a difference."),
    "calibrate": CommandPlace("calibrate", "calibrate", "Try every procedure where the truth is known."),
    "cluster": CommandPlace("cluster", "app", "Prepare a cluster: templates of the container command."),
    "package": CommandPlace("package", "package", "Write an image and the model of a run, ready for upload."),
    "login": CommandPlace("login", "login", "Keep a token for a service."),
    "submit": CommandPlace("submit", "submit", "Send an image and its models to a phase of a service."),
    "logs": CommandPlace("logs", "logs", "Print what the programs of a submission have printed."),
    "serve": CommandPlace("serve", "serve", "Serve challenges: the web pages and the API."),
    "service": CommandPlace("service", "app", "Look after the service: tables, backups, users, tokens."),
    "challenge": CommandPlace("challenge", "app", "Make a challenge from its file, or check the file."),
    "leaderboard": CommandPlace(
        "leaderboard", "leaderboard", "Show the leaderboard of a phase of a service."
    ),
    "demo": CommandPlace("demo", "demo", "Fill a challenge from a finished study, to see a leaderboard."),
    "worker": CommandPlace("worker", "worker", "Take the service's jobs and run their containers."),
    "data": CommandPlace("data", "app", "Get, convert, list and check datasets."),
}


class CommandsOnDemand(TyperGroup):
    """A group that knows its commands' names, and imports the one that is typed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, place in COMMANDS.items():
            self.add_command(TyperCommand(name=name, help=place.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command as usual, then put the real one in the place of its name."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else loaded_command(name), rest


def loaded_command(name: str) -> Any:
    """A command, imported."""
    place = COMMANDS[name]
    found = getattr(importlib.import_module(f"reseed.cli.{place.module}"), place.attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        single.command(name, context_settings=CONTEXT_SETTINGS)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command
