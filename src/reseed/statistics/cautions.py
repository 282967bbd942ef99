"""What a reader must know before using a number: the warnings of a comparison, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc

from reseed.statistics.components import RUN, variance_estimates
from reseed.statistics.moderation import moderated_variances
from reseed.statistics.multiplicity import CLOSED_UP_TO
from reseed.statistics.scores import CaseScores
from reseed.statistics.settings import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reseed.statistics.outcome import Outcome
    from reseed.statistics.sample import Sample
    from reseed.statistics.scopes import Pairs
    from reseed.statistics.settings import Settings

FEW_RUNS = 4
LOOK_DIFFERENT = 0.1  # level of the F test of two run variances


def cautions(sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome]) -> tuple[str, ...]:
    """All warnings that apply, each one sentence."""
    found = [*sample.warnings, *_of_scores(sample)]
    match settings.scope:
        case Scope.POPULATION:
            found += _of_population(sample, pairs)
            found += _of_moderation(sample, results)
        case Scope.TEST_SET:
            found += _of_test_set(sample, settings, pairs, results)
        case Scope.TRAINED_MODELS:
            found += _of_trained_models(sample, settings)
    n_undefined = sum(outcome.n_undefined for outcome in results) + sample.covariance.n_undefined
    if n_undefined:
        found.append(f"the metric was undefined on {n_undefined} bootstrap resamples, which were left out")
    return tuple(found)


def _of_scores(sample: Sample) -> Iterator[str]:
    if isinstance(sample.scores, CaseScores) and sample.scores.reference is None:
        n_undefined = int(np.isnan(sample.scores.score).sum())
        if n_undefined:
            yield f"{n_undefined} per-case scores are undefined and left out of their run's mean"
    estimate = variance_estimates(sample.moments)[RUN]
    if estimate < 0:
        yield (
            "the estimated variance between retrainings is below 0 and is reported as at most 0: "
            "the runs differ no more than case sampling explains"
        )


def _of_population(sample: Sample, pairs: Pairs) -> Iterator[str]:
    layout, moments = sample.layout, sample.moments
    for method, count in zip(layout.methods, layout.run_counts, strict=True):
        if count < FEW_RUNS:
            yield (
                f"method {method!r} has {count} runs: with fewer than {FEW_RUNS} the spread over retrainings "
                "is poorly known and the test can claim a difference somewhat too often"
            )
    for a, b in pairs:
        if moments.r[a] == moments.r[b] or not (moments.ms[[a, b]] > 0).all():
            continue
        large, small = (a, b) if moments.ms[a] >= moments.ms[b] else (b, a)
        ratio = moments.ms[large] / moments.ms[small]
        if 2 * fdtrc(moments.r[large] - 1, moments.r[small] - 1, ratio) < LOOK_DIFFERENT:
            yield (
                f"methods {layout.methods[a]!r} and {layout.methods[b]!r} have different numbers of runs and "
                "their retrainings seem to vary differently: take a p value near the level with care"
            )
    if not (moments.ms > 0).all():
        yield "some method's runs all have the same score: was it really retrained with different seeds?"


def _of_moderation(sample: Sample, results: list[Outcome]) -> Iterator[str]:
    if all(outcome.test != "moderated_obuchowski_rockette" for outcome in results):
        return
    moderated = moderated_variances(sample.moments.ms, (sample.moments.r - 1).astype(np.float64))
    for method, apart in zip(sample.layout.methods, moderated.stands_out, strict=True):
        if apart:
            yield (
                f"the retrainings of {method!r} vary more than the others': its spread was not "
                "moderated; where methods differ in spread, moderated tests claim a difference too often"
            )


def _of_test_set(sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome]) -> Iterator[str]:
    layout = sample.layout
    for (a, b), outcome in zip(pairs, results, strict=True):
        if outcome.smallest_p > settings.level:
            yield (
                f"with {layout.run_counts[a]} and {layout.run_counts[b]} runs no permutation of "
                f"{layout.methods[a]!r} and {layout.methods[b]!r} can reach a p value below "
                f"{outcome.smallest_p:.3g}: no difference, however large, can be significant"
            )
        if outcome.test == "permutation_mean_difference" and layout.run_counts[a] != layout.run_counts[b]:
            yield (
                f"the run counts of {layout.methods[a]!r} and {layout.methods[b]!r} differ: a permuted mean "
                "difference is not valid when the run variances differ too; use 'permutation_studentised'"
            )
    if settings.adjust == "max_t" and layout.n_methods > CLOSED_UP_TO:
        yield (
            f"max_t over more than {CLOSED_UP_TO} methods relabels all runs at once: it controls false "
            "claims when no method differs, not among the equal ones when others differ; 'holm' does"
        )


def _of_trained_models(sample: Sample, settings: Settings) -> Iterator[str]:
    counts = sample.layout.run_counts
    single = [method for method, count in zip(sample.layout.methods, counts, strict=True) if count == 1]
    if len(single) == len(counts):
        yield (
            "one run of each: this compares these trained models, not the methods; "
            "retraining either could change the answer"
        )
    elif single:
        yield f"method {single[0]!r} has one run: what its retraining would change is unknown"
    if single and settings.run_sd is None:
        yield "a standard deviation over retrainings known from elsewhere can be added with run_sd"
