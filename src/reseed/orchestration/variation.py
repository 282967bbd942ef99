"""The variation by source of a finished study, from what its folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reseed.contracts.errors import UserError
from reseed.contracts.metrics import Metrics
from reseed.contracts.study import Study
from reseed.documents.reading import read_json, read_yaml
from reseed.orchestration.comparison import scores_by_method
from reseed.orchestration.study_folder import StudyFolder
from reseed.statistics.designed import designed_variation, variation_summary


@dataclass(frozen=True)
class RecordedVariation:
    """In words, and as finite JSON values by metric and method."""

    lines: list[str]
    document: dict[str, Any]


def recorded_variation(
    study_dir: Path, *, metrics: tuple[str, ...], confidence_level: float
) -> RecordedVariation:
    """
    How much each source moves the score of a retraining, from study.yaml and every metrics.json.

    Parameters
    ----------
    study_dir
        STUDY_DIR.
    metrics
        Keys; those that the study compares, or else all, when empty.
    confidence_level
        Of the intervals.

    Raises
    ------
    UserError
        When there is no study or no run, or a run of the design is missing.
    """
    folder = StudyFolder(study_dir)
    if not folder.study.is_file():
        raise UserError(f"{study_dir}: has no study.yaml; name the folder of a finished study")
    study = read_yaml(folder.study, Study)
    found = {
        (method, run): read_json(folder.run(method, run) / "metrics.json", Metrics)
        for method in study.methods
        for run in range(study.n_runs(method))
        if (folder.run(method, run) / "metrics.json").is_file()
    }
    if not found:
        raise UserError(f"{study_dir}: has no scored run; `reseed run` makes them")
    first = next(iter(found.values()))
    lines: list[str] = []
    document: dict[str, Any] = {
        "schema_version": "1.0",
        "study": study.study,
        "design": None if study.design is None else study.design.model_dump(mode="json"),
        "varied": [source.value for source in study.varied],
        "confidence_level": confidence_level,
        "metrics": {},
    }
    for metric in metrics or study.compare.metrics or tuple(first.aggregates):
        scores = scores_by_method(found, metric)
        lines += [""] if lines else []
        lines += variation_summary(
            study.design,
            scores,
            metric=metric,
            cases=f"{len({result.case_id for result in first.results})} cases",
            confidence_level=confidence_level,
            varied=document["varied"],
        )
        document["metrics"][metric] = {
            method: [
                row.to_json()
                for row in designed_variation(study.design, by_run, confidence_level=confidence_level)
            ]
            for method, by_run in scores.items()
        }
    return RecordedVariation(lines, document)
