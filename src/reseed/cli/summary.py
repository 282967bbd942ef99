"""The conclusions of a study, as the terminal shows them."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from reseed.contracts.footprint import StudyFootprint
from reseed.documents.reading import json_document, read_json
from reseed.orchestration.study_folder import StudyFolder


def print_summary(console: Console, comparisons: Path) -> None:
    """Print the summary lines that comparisons.json holds, metric after metric."""
    for metric in json_document(comparisons)["metrics"]:
        console.print()
        for line in metric["summary"]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_footprint(console: Console, folder: StudyFolder) -> None:
    """Print what the study used, if that was recorded."""
    if folder.footprint.is_file():
        found = read_json(folder.footprint, StudyFootprint)
        console.print(f"\nfootprint: {found.words}", highlight=False, markup=False, soft_wrap=True)
