"""Does a run come out again? It is retrained from its seeds and compared with its record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.job import JobKind
from reseed.contracts.metrics import Metrics
from reseed.contracts.run import RunRecord
from reseed.documents.reading import read_json
from reseed.orchestration.difference import Difference, run_differences
from reseed.orchestration.plan import Plan
from reseed.orchestration.study_folder import StudyFolder
from reseed.statistics.prediction import RetrainingPrediction

LEVEL = 0.05
_FEWEST_RUNS = 3


class Verdict(StrEnum):
    """What a retraining of a recorded run says about it."""

    BIT_IDENTICAL = "bit-identical"
    WITHIN_SPREAD = "same configuration, within the spread over retrainings"
    NOT_REPRODUCED = "not reproduced"


@dataclass(frozen=True)
class Verification:
    """
    A verdict with its grounds.

    `p_value` is the chance that one more retraining of the method lies at least as far from the mean
    of its recorded runs; None when the weights are the same or there are fewer than three runs.
    """

    verdict: Verdict
    metric: str
    recorded_score: float
    retrained_score: float
    p_value: float | None
    differences: tuple[Difference, ...]


def run_part(plan: Plan, method: str, run: int) -> Plan:
    """
    The part of a plan that makes and scores one run.

    Raises
    ------
    UserError
        When the study has no such run.
    """
    scores = [
        job.key for job in plan.jobs if job.kind is JobKind.SCORE and job.method == method and job.run == run
    ]
    if not scores:
        raise UserError(f"the study has no run {method}/{run}")
    return plan.leading_to(scores)


def verification(
    recorded: StudyFolder, retrained: StudyFolder, *, method: str, run: int, metric: str
) -> Verification:
    """
    Compare a retrained run with its record.

    Parameters
    ----------
    recorded, retrained
        The study folder with the record, and the one in which the run was made again.
    method, run
        Which run.
    metric
        By which metric scores are compared when weights differ.

    Raises
    ------
    UserError
        When a record or a metrics file is missing.
    """
    before = read_json(recorded.run(method, run) / "run.json", RunRecord)
    after = read_json(retrained.run(method, run) / "run.json", RunRecord)
    score_before = _score(recorded.run(method, run), metric)
    score_after = _score(retrained.run(method, run), metric)
    differences = tuple(run_differences(before, after))
    same = before.weights_digest == after.weights_digest
    others = _recorded_scores(recorded, method, metric)
    p_value = None
    if not same and len(others) >= _FEWEST_RUNS:
        p_value = RetrainingPrediction.of(others).p_value(score_after)
    if same:
        verdict = Verdict.BIT_IDENTICAL
    elif not _is_reconfigured(differences) and p_value is not None and p_value >= LEVEL:
        verdict = Verdict.WITHIN_SPREAD
    else:
        verdict = Verdict.NOT_REPRODUCED
    return Verification(verdict, metric, score_before, score_after, p_value, differences)


def verification_lines(found: Verification, *, method: str, run: int) -> list[str]:
    """The verdict in words, then what differs in the environment, most suspicious first."""
    lines = [f"{method}/{run}: {found.verdict.value}"]
    if found.verdict is not Verdict.BIT_IDENTICAL:
        chance = (
            "too few recorded runs to say how unusual that is"
            if found.p_value is None
            else f"p {found.p_value:.3f} for one more retraining of {method}"
        )
        scores = f"recorded {found.recorded_score:.4f}, retrained {found.retrained_score:.4f}"
        lines.append(f"{found.metric}: {scores}; {chance}")
    told = [difference for difference in found.differences if difference.kind != "the weights"]
    return lines + [difference.line() for difference in told]


def _is_reconfigured(differences: tuple[Difference, ...]) -> bool:
    """Whether something differs that makes it another method, or another seed."""
    return any(found.kind in _CONFIGURATION for found in differences)


_CONFIGURATION = (
    "the data",
    "a setting",
    "the algorithm",
    "what the study varies",
    "the ensemble",
    "a silent default",
    "a seed",
)


def _score(run: Path, metric: str) -> float:
    metrics = read_json(run / "metrics.json", Metrics)
    if metric not in metrics.aggregates:
        known = ", ".join(metrics.aggregates)
        raise UserError(f"{run}: metrics.json has no {metric!r}; it has {known}")
    return metrics.aggregates[metric].value


def _recorded_scores(study: StudyFolder, method: str, metric: str) -> list[float]:
    runs = sorted(study.run(method, 0).parent.glob("*/metrics.json"))
    return [_score(path.parent, metric) for path in runs]
