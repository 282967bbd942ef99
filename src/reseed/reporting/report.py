"""From a study folder to report.html."""

from __future__ import annotations

from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_text_atomically
from reseed.reporting.comparisons import read_comparisons
from reseed.reporting.page import report_page
from reseed.reporting.study_records import StudyFiles, read_study_records


def write_report(study_dir: Path, out: Path | None = None) -> Path:
    """
    Write the report of a finished study as one self-contained HTML file.

    Parameters
    ----------
    study_dir
        STUDY_DIR with comparisons.json and, where they are, the run.json of every run.
    out
        The file to write, by default STUDY_DIR/report.html.

    Returns
    -------
    Path
        The file, whole: an earlier one stays as it was until the new one is complete.

    Raises
    ------
    UserError
        One line that names the file and the rule it breaks; nothing is written.
    """
    files = StudyFiles(study_dir)
    if not files.comparisons.is_file():
        raise UserError(f"{study_dir}: has no comparisons.json; it must be the folder of a finished study")
    comparisons = read_comparisons(files.comparisons)
    page = report_page(comparisons, read_study_records(files, comparisons))
    target = files.report if out is None else out
    write_text_atomically(target, page)
    return target
