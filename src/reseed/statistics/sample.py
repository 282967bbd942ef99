"""What every scope starts from: the metric of every run and its covariance over cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import InvalidTable
from reseed.statistics.binding import bound_kernel
from reseed.statistics.covariance import CaseCovariance, case_covariance
from reseed.statistics.obuchowski_rockette import RunMoments, run_moments

if TYPE_CHECKING:
    from reseed.statistics.kernels import Kernel
    from reseed.statistics.metric import Metric
    from reseed.statistics.scores import FloatArray, RunLayout, Scores


@dataclass(frozen=True)
class Sample:
    """Scores with a metric bound to them: θ (n_runs,), Σ (n_runs, n_runs) and their moments by method."""

    scores: Scores = field(repr=False)
    kernel: Kernel = field(repr=False)
    metric: Metric
    theta: FloatArray = field(repr=False)
    covariance: CaseCovariance = field(repr=False)
    moments: RunMoments = field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def layout(self) -> RunLayout:
        return self.scores.layout

    @property
    def sigma(self) -> FloatArray:
        return self.covariance.matrix

    def runs_of(self, method: int) -> FloatArray:
        """Metric of each run of a method."""
        return self.theta[self.layout.runs_of(method)]


def observed_sample(
    scores: Scores, metric: Metric, *, estimator: str, rng: np.random.Generator, cases_random: bool = True
) -> Sample:
    """
    Bind a metric to scores and estimate Σ.

    With `cases_random` False a Σ that cannot be estimated is NaN and a warning, not a refusal.

    Raises
    ------
    InvalidTable
        If the metric of a run is undefined, or Σ cannot be estimated.
    """
    kernel = bound_kernel(metric, scores)
    theta = kernel.observed()
    undefined = ~np.isfinite(theta)
    if undefined.any():
        layout, run = scores.layout, int(np.argmax(undefined))
        name = f"method {layout.methods[layout.method_of_run[run]]!r} run {layout.runs[run]!r}"
        raise InvalidTable(
            f"{metric.label} of {name} must be a finite number, it is undefined on these cases"
        )
    warnings: tuple[str, ...] = ()
    try:
        covariance = case_covariance(kernel, estimator, rng)
    except InvalidTable as refusal:
        if cases_random:
            raise
        covariance = CaseCovariance(np.full((theta.size, theta.size), np.nan), estimator)
        warnings = (f"the variance over cases is unknown: {refusal}",)
    return Sample(
        scores,
        kernel,
        metric,
        theta,
        covariance,
        run_moments(theta, covariance.matrix, scores.layout.method_of_run),
        warnings,
    )
