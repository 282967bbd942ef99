"""
Covariance over cases of the metrics of all runs, Σ (n_runs × n_runs).

Sources: jackknife, Hillis 2014 (Stat Med 33:330); DeLong, DeLong and Clarke-Pearson 1988, with patients as
clusters Obuchowski 1997 (Biometrics 53:567); unbiased, the U-statistic of Gallas 2006 (Acad Radiol 13:353).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import InvalidTable, UserError
from reseed.statistics.auroc import AurocKernel
from reseed.statistics.kernels import Kernel
from reseed.statistics.weighting import bootstrap_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from reseed.statistics.scores import FloatArray

ESTIMATORS = ("jackknife", "delong", "unbiased", "bootstrap")
BOOTSTRAP_REPLICATES = 2000


@dataclass(frozen=True)
class CaseCovariance:
    """
    Σ over cases of all runs' metrics.

    `matrix` has shape (n_runs, n_runs); `n_undefined` counts the resamples on which the metric was
    undefined, which are left out.
    """

    matrix: FloatArray = field(repr=False)
    estimator: str
    n_undefined: int = 0


def case_covariance(kernel: Kernel, estimator: str, rng: np.random.Generator) -> CaseCovariance:
    """
    Σ by the named estimator.

    Raises
    ------
    UserError
        If the estimator is unknown, or cannot serve this metric.
    InvalidTable
        If leaving one patient out leaves the metric undefined.
    """
    match estimator:
        case "jackknife":
            return CaseCovariance(jackknife_covariance(kernel), estimator)
        case "delong":
            return CaseCovariance(delong_covariance(_auroc(kernel, estimator)), estimator)
        case "unbiased":
            return CaseCovariance(unbiased_covariance(_auroc(kernel, estimator)), estimator)
        case "bootstrap":
            return bootstrap_covariance(kernel, BOOTSTRAP_REPLICATES, rng)
        case _:
            raise UserError(f"unknown covariance {estimator!r}; known: {', '.join(ESTIMATORS)}")


def _auroc(kernel: Kernel, estimator: str) -> AurocKernel:
    if not isinstance(kernel, AurocKernel):
        raise UserError(
            f"covariance {estimator!r} is for AUROC only; 'jackknife' and 'bootstrap' serve every metric"
        )
    if kernel.layout.weighted:
        raise UserError(
            f"covariance {estimator!r} does not take case weights; use 'jackknife' or 'bootstrap'"
        )
    return kernel


def jackknife_covariance(kernel: Kernel) -> FloatArray:
    """(n-1)/n · Σ_k (θ(-k) - θ̄(·))(θ(-k) - θ̄(·))ᵀ over patients k."""
    left_out = kernel.leave_one_out()
    undefined = np.isnan(left_out).any(axis=1)
    if undefined.any():
        raise InvalidTable(
            "the metric must stay defined when one patient is left out, "
            f"it does not without patient {int(np.argmax(undefined)) + 1} of {len(left_out)}: "
            "more patients of the rare class are needed"
        )
    n = len(left_out)
    centred = left_out - left_out.mean(axis=0)
    return np.asarray((n - 1) / n * (centred.T @ centred))


def delong_covariance(kernel: AurocKernel) -> FloatArray:
    """DeLong's Σ of AUROCs; with several rows per patient Obuchowski's sum over clusters."""
    layout = kernel.layout
    positive, negative = kernel.class_weights()
    m, n = positive.sum(axis=0), negative.sum(axis=0)
    sums, _ = kernel.placements()
    theta = kernel.observed()
    if kernel.rows_are_cases and not layout.clustered:
        is_positive = positive[:, 0] > 0
        v10, v01 = sums[is_positive] / n, sums[~is_positive] / m
        return np.asarray(np.cov(v10.T, ddof=1) / len(v10) + np.cov(v01.T, ddof=1) / len(v01)).reshape(
            2 * theta.shape
        )
    of_positive, of_negative = kernel.placements_by_class()
    v10 = _sums_by_patient(of_positive / n - positive * theta, kernel) / m
    v01 = _sums_by_patient(of_negative / m - negative * theta, kernel) / n
    with_positive = int(np.count_nonzero(_sums_by_patient(positive, kernel)[:, 0]))
    with_negative = int(np.count_nonzero(_sums_by_patient(negative, kernel)[:, 0]))
    both = layout.n_patients / (layout.n_patients - 1)
    return np.asarray(
        with_positive / (with_positive - 1) * v10.T @ v10
        + with_negative / (with_negative - 1) * v01.T @ v01
        + both * (v10.T @ v01 + v01.T @ v10)
    )


def _sums_by_patient(values: FloatArray, kernel: AurocKernel) -> FloatArray:
    sums = np.zeros((kernel.layout.n_patients, values.shape[1]))
    np.add.at(sums, kernel.layout.patient_of_case, values)
    return sums


def unbiased_covariance(kernel: AurocKernel) -> FloatArray:
    """
    Unbiased Σ of AUROCs: θ̂_i θ̂_j minus the mean of ψ_i ψ_j over pairs that share no case.

    Raises
    ------
    UserError
        If cases are clustered by patient, for which no such estimator is defined here.
    """
    if kernel.layout.clustered or not kernel.rows_are_cases:
        raise UserError(
            "covariance 'unbiased' takes independent cases; with patients use 'jackknife' or 'delong'"
        )
    positive, _ = kernel.class_weights()
    is_positive = positive[:, 0] > 0
    sums, _ = kernel.placements()
    of_positive, of_negative = sums[is_positive], sums[~is_positive]
    m, n = len(of_positive), len(of_negative)
    theta = of_positive.sum(axis=0) / (m * n)
    same_pair = kernel.products_of_wins()
    total = m * n * theta
    apart = np.outer(total, total) - of_positive.T @ of_positive - of_negative.T @ of_negative + same_pair
    return np.asarray(np.outer(theta, theta) - apart / (m * (m - 1) * n * (n - 1)))


def bootstrap_covariance(kernel: Kernel, n_replicates: int, rng: np.random.Generator) -> CaseCovariance:
    """Σ from shared resamples of the patients; undefined replicates are left out and counted."""
    replicates = bootstrap_values(kernel, n_replicates, rng)
    defined = ~np.isnan(replicates).any(axis=1)
    if np.count_nonzero(defined) < 2:
        raise InvalidTable(
            "the metric is undefined on every bootstrap resample: more cases of the rare class are needed"
        )
    matrix = np.cov(replicates[defined].T, ddof=1).reshape(replicates.shape[1], -1)
    return CaseCovariance(matrix, "bootstrap", int(np.count_nonzero(~defined)))


def bootstrap_values(
    kernel: Kernel,
    n_replicates: int,
    rng: np.random.Generator,
    *,
    reduce: Callable[[FloatArray], FloatArray] | None = None,
) -> FloatArray:
    """
    Metric of every run on every bootstrap resample, shape (n_replicates, n_runs).

    `reduce` maps each block (n_block, n_runs) to what is kept of it, e.g. differences between methods.
    """
    keep = reduce or (lambda values: values)
    return np.concatenate(
        [keep(kernel.weighted(W)) for W in bootstrap_weights(kernel.layout, n_replicates, rng)], axis=0
    )
