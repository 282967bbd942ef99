"""The conclusions of a study, as the terminal shows them."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from reseed.documents.reading import json_document


def print_summary(console: Console, comparisons: Path) -> None:
    """Print the summary lines that comparisons.json holds, metric after metric."""
    for metric in json_document(comparisons)["metrics"]:
        console.print()
        for line in metric["summary"]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
