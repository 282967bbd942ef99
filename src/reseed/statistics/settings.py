"""The choices of a comparison, checked before any number is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import UserError
from reseed.statistics.covariance import ESTIMATORS
from reseed.statistics.equivalence import check_margin
from reseed.statistics.multiplicity import check_adjustment

if TYPE_CHECKING:
    import pandas as pd


class Scope(StrEnum):
    """What a conclusion is about: what is random, and what is fixed."""

    POPULATION = "population"  # runs random, cases random
    TEST_SET = "test_set"  # runs random, cases fixed
    TRAINED_MODELS = "trained_models"  # runs fixed, cases random

    @property
    def words(self) -> str:
        """The scope as a reader without statistics understands it."""
        return _SCOPE_WORDS[self]

    @property
    def claim(self) -> str:
        """The claim that a significant result supports."""
        return _SCOPE_CLAIMS[self]


_SCOPE_WORDS = {
    Scope.POPULATION: "retrained, new patients",
    Scope.TEST_SET: "retrained, these patients",
    Scope.TRAINED_MODELS: "not retrained, new patients",
}
_SCOPE_CLAIMS = {
    Scope.POPULATION: "if both methods were retrained and shown new patients",
    Scope.TEST_SET: "if both methods were retrained and shown these same patients again",
    Scope.TRAINED_MODELS: "if these very trained models, not retrained, were shown new patients",
}

TESTS: Mapping[Scope, tuple[str, ...]] = {
    Scope.POPULATION: (
        "welch_obuchowski_rockette",
        "obuchowski_rockette",
        "moderated_obuchowski_rockette",
        "crossed_bootstrap",
    ),
    Scope.TEST_SET: (
        "permutation",
        "permutation_mean_difference",
        "permutation_mann_whitney",
        "permutation_studentised",
    ),
    Scope.TRAINED_MODELS: (
        "bootstrap_percentile",
        "bootstrap_bca",
        "bootstrap_percentile_stratified",
        "bootstrap_bca_stratified",
        "delong",
        "wald",
        "paired_t",
        "sign_flip",
    ),
}
_SHORT = {
    "mean_difference": "permutation_mean_difference",
    "mann_whitney": "permutation_mann_whitney",
    "studentised": "permutation_studentised",
    "bootstrap": "bootstrap_percentile",
    "percentile": "bootstrap_percentile",
    "bca": "bootstrap_bca",
}


def answerable_scopes(table: pd.DataFrame, test: str | None = None) -> list[str]:
    """
    The scopes that a table can answer: those of the named test, and without several runs of every method
    the trained models only.
    """
    scopes = list(Scope)
    if test is not None:
        scopes = [scope for scope in Scope if _SHORT.get(test, test) in TESTS[scope]] or scopes
    if test is None and {"method", "run"} <= set(table.columns):
        runs = table[["method", "run"]].drop_duplicates()["method"].value_counts()
        if (runs < 2).any():
            scopes = [Scope.TRAINED_MODELS]
    return [scope.value for scope in scopes]


@dataclass(frozen=True)
class Settings:
    """See `reseed.compare`; `test` is None for the scope's default."""

    scope: Scope
    test: str | None = None
    baseline: str | None = None
    adjust: str = "holm"
    covariance: str = "jackknife"
    confidence_level: float = 0.95
    alternative: str = "two-sided"
    margin: float | None = None
    run_sd: float | Mapping[str, float] | None = None

    @property
    def level(self) -> float:
        """Significance level, 1 - confidence_level."""
        return 1 - self.confidence_level

    def run_sd_of(self, method: str) -> float:
        """The SD over retrainings that the user supplied for a method."""
        if isinstance(self.run_sd, Mapping):
            if method not in self.run_sd:
                raise UserError(f"run_sd must name every method, it lacks {method!r}")
            return float(self.run_sd[method])
        return float("nan") if self.run_sd is None else float(self.run_sd)


def checked_settings(scope: str, settings: Mapping[str, object]) -> Settings:
    """
    Settings from the arguments of `reseed.compare`.

    Raises
    ------
    UserError
        One line that names the argument, what it may be, and what arrived.
    """
    if scope not in list(Scope):
        raise UserError(f"scope must be one of {', '.join(Scope)}, got {scope!r}")
    made = Settings(Scope(scope), **settings)  # type: ignore[arg-type]
    if made.test is not None:
        name = _SHORT.get(made.test, made.test)
        if name not in TESTS[made.scope]:
            raise UserError(
                f"test of scope {scope!r} must be one of {', '.join(TESTS[made.scope])}, got {made.test!r}"
            )
        made = Settings(Scope(scope), **{**settings, "test": name})  # type: ignore[arg-type]
    if made.alternative not in ("two-sided", "greater", "less"):
        raise UserError(f"alternative must be 'two-sided', 'greater' or 'less', got {made.alternative!r}")
    if not 0.5 <= made.confidence_level < 1:
        raise UserError(f"confidence_level must lie in [.5, 1), got {made.confidence_level:g}")
    if made.covariance not in ESTIMATORS:
        raise UserError(f"covariance must be one of {', '.join(ESTIMATORS)}, got {made.covariance!r}")
    check_adjustment(made.adjust, made.baseline)
    if made.margin is not None:
        check_margin(made.margin)
    _check_run_sd(made)
    return made


def _check_run_sd(settings: Settings) -> None:
    if settings.run_sd is None:
        return
    if settings.scope is not Scope.TRAINED_MODELS:
        raise UserError(
            f"run_sd belongs to scope 'trained_models'; scope {settings.scope.value!r} estimates it itself"
        )
    values = settings.run_sd.values() if isinstance(settings.run_sd, Mapping) else [settings.run_sd]
    for value in values:
        if not (np.isfinite(value) and value >= 0):
            raise UserError(f"run_sd must be finite and not negative, got {value:g}")
