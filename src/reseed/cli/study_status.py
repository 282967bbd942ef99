"""How a study stands, on the terminal."""

from __future__ import annotations

import json
import time
from pathlib import Path

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from reseed.orchestration.status import StudyStatus, status_document, status_lines, study_status
from reseed.orchestration.study_folder import StudyFolder

_WATCH_INTERVAL_S = 2.0


def show_study(study_dir: Path, *, as_json: bool, watch: bool) -> None:
    """Print how the study in a folder stands, once or until nobody is at work."""
    folder = StudyFolder(study_dir)
    found = study_status(folder)
    if as_json:
        typer.echo(json.dumps(status_document(found), indent=1))
    elif watch:
        _watch(folder, found)
    else:
        typer.echo("\n".join(status_lines(found)))


def _watch(folder: StudyFolder, found: StudyStatus) -> None:
    with Live(_text(found), console=Console(), auto_refresh=False) as live:
        while found.orchestrator is not None:
            time.sleep(_WATCH_INTERVAL_S)
            found = study_status(folder)
            live.update(_text(found), refresh=True)


def _text(found: StudyStatus) -> Text:
    return Text("\n".join(status_lines(found)))
