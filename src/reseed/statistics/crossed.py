"""
Obuchowski-Rockette analysis for runs crossed with methods: run j is the same one in every method.

That is the design of reader studies, where the same readers read with every modality, and of studies that
train every method on the same folds or training samples. Independent retrainings are nested, not crossed:
for them use `reseed.compare`. Sources: Hillis 2007, Stat Med 26:596; OR-DBM MRMC 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, fdtrc

if TYPE_CHECKING:
    from reseed.statistics.scores import FloatArray


@dataclass(frozen=True)
class CrossedAnalysis:
    """
    Mean squares, mean covariances and the three tests of equal methods.

    `p_value` is for runs and cases random, `p_fixed_runs` for cases random only, `p_fixed_cases` for runs
    random only. `standard_error` belongs to the difference of two methods with runs and cases random.
    """

    ms_t: float
    ms_tr: float
    var_error: float
    cov1: float
    cov2: float
    cov3: float
    den: float
    f: float
    df1: int
    df2: float
    p_value: float
    standard_error: float
    p_fixed_runs: float
    p_fixed_cases: float


def crossed_analysis(theta: FloatArray, sigma: FloatArray, *, truncate: bool = True) -> CrossedAnalysis:
    """
    Analyse t methods crossed with r runs.

    Parameters
    ----------
    theta
        Shape (t, r): metric of method i in run j.
    sigma
        Shape (t·r, t·r): its covariance over cases, methods outermost.
    truncate
        Whether Cov2 - Cov3 below 0 counts as 0.
    """
    t, r = theta.shape
    by_method, by_run, grand = theta.mean(axis=1), theta.mean(axis=0), theta.mean()
    ms_t = float(r * ((by_method - grand) ** 2).sum() / (t - 1))
    residual = theta - by_method[:, None] - by_run + grand
    df_tr = (t - 1) * (r - 1)
    ms_tr = float((residual**2).sum() / df_tr)
    var_error, cov1, cov2, cov3 = _mean_covariances(sigma.reshape(t, r, t, r))
    shared = max(cov2 - cov3, 0.0) if truncate else cov2 - cov3
    den = ms_tr + r * shared
    df2 = den**2 / (ms_tr**2 / df_tr)
    of_cases = var_error - cov1 + (r - 1) * shared
    return CrossedAnalysis(
        ms_t=ms_t,
        ms_tr=ms_tr,
        var_error=var_error,
        cov1=cov1,
        cov2=cov2,
        cov3=cov3,
        den=den,
        f=ms_t / den,
        df1=t - 1,
        df2=df2,
        p_value=float(fdtrc(t - 1, df2, ms_t / den)),
        standard_error=float(np.sqrt(2 * den / r)),
        p_fixed_runs=float(chdtrc(t - 1, (t - 1) * ms_t / of_cases)),
        p_fixed_cases=float(fdtrc(t - 1, df_tr, ms_t / ms_tr)),
    )


def _mean_covariances(blocks: FloatArray) -> tuple[float, float, float, float]:
    """Var_e, Cov1 (same run), Cov2 (same method) and Cov3 (neither) of Σ as (t, r, t, r)."""
    t, r = blocks.shape[:2]
    same_method = np.eye(t, dtype=bool)[:, None, :, None] & np.ones((1, r, 1, r), dtype=bool)
    same_run = np.eye(r, dtype=bool)[None, :, None, :] & np.ones((t, 1, t, 1), dtype=bool)
    return (
        float(blocks[same_method & same_run].mean()),
        float(blocks[~same_method & same_run].mean()),
        float(blocks[same_method & ~same_run].mean()),
        float(blocks[~same_method & ~same_run].mean()),
    )
