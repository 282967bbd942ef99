"""Numbers and names as the report prints them; sentences about results are the statistics' own."""

from __future__ import annotations

import math

from reseed.statistics.settings import Scope
from reseed.statistics.words import number, p_words

UNKNOWN = "unknown"
SHORT_DIGEST = 12

TEST_NAMES = {
    "welch_obuchowski_rockette": "Obuchowski–Rockette for runs nested in methods, unequal variances (Welch)",
    "obuchowski_rockette": "Obuchowski–Rockette for runs nested in methods, pooled",
    "moderated_obuchowski_rockette": "Obuchowski–Rockette for runs nested in methods, moderated variances",
    "crossed_bootstrap": "Bootstrap of runs and cases",
    "permutation_mean_difference": "Permutation of runs, difference of means",
    "permutation_mann_whitney": "Permutation of runs, Mann–Whitney",
    "permutation_studentised": "Permutation of runs, studentised difference",
    "bootstrap_percentile": "Paired bootstrap of cases, percentile",
    "bootstrap_bca": "Paired bootstrap of cases, BCa",
    "bootstrap_percentile_stratified": "Paired bootstrap of cases by class, percentile",
    "bootstrap_bca_stratified": "Paired bootstrap of cases by class, BCa",
    "delong": "DeLong, paired",
    "wald": "Wald, paired over cases",
    "paired_t": "Paired t over cases",
    "sign_flip": "Sign flips of cases",
}
ADJUSTMENTS = {"holm": "Holm", "max_t": "max-T", "dunnett": "Dunnett"}

METRIC_MEANINGS = {
    "auroc": "The chance that a random positive case gets a higher score than a random negative one: "
    "1 is perfect, .5 is guessing.",
    "ap": "Average precision: of the cases that are called positive, the share that truly are, averaged over "
    "all positive cases from the highest score down. 1 is perfect; guessing gives the share of positives.",
}

COMPONENT_MEANINGS = {
    "run": "Retraining moves the score of the whole method, whoever the patients are.",
    "case": "The patients drawn into the test set are easier or harder for all methods alike.",
    "method × case": "Some patients suit one method better than another, however often it is retrained.",
    "run × case": "Two retrainings of one method differ on single patients.",
}

SOURCE_MEANINGS = {
    "weights": "Another draw of the first weights.",
    "order": "Another order in which the network sees the training cases.",
    "augmentation": "Other draws of the augmentation.",
    "dropout": "Other features left out by dropout.",
    "split": "Another assignment of the training cases to folds.",
    "nondeterminism": "The same seeds once more: what the machine does not repeat.",
    "interaction": "What these sources do together and none does alone.",
    "interaction and nondeterminism": "What the sources do together, and what the machine does not repeat.",
    "all together": "A retraining in which all of them are drawn anew.",
}

SCOPE_MEANINGS = {
    Scope.POPULATION: "Both methods are trained again with new seeds and meet new patients like these: "
    "the question of whoever has to choose a method.",
    Scope.TEST_SET: "Both methods are trained again with new seeds and meet the same patients again: "
    "the question of a leaderboard, and no word about other patients.",
    Scope.TRAINED_MODELS: "The networks that exist now meet new patients like these: "
    "the question of whoever deploys one of them, and no word about what a retraining would give.",
}

INTERVAL_ENDINGS = {
    Scope.POPULATION: "if retrained and shown new patients",
    Scope.TEST_SET: "if retrained and shown these patients",
    Scope.TRAINED_MODELS: "if these trained models are shown new patients",
}


def value_text(value: float | None, *, signed: bool = False) -> str:
    """A metric value as papers write it."""
    return UNKNOWN if value is None else number(value, signed=signed)


def span_text(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """An interval; an end that is null has no limit."""
    if low is None and high is None:
        return UNKNOWN
    left = "no lower limit" if low is None else number(low, signed=signed)
    right = "no upper limit" if high is None else number(high, signed=signed)
    return f"{left} to {right}"


def p_text(p_value: float | None) -> str:
    """A p value with its letter: p .02."""
    return p_words(math.nan if p_value is None else p_value)


def level_text(confidence_level: float) -> str:
    """95 %."""
    return f"{100 * confidence_level:g} %"


def rank_text(rank: float | None, low: float | None, high: float | None) -> str:
    """A rank with the ranks that the data allow."""
    if rank is None:
        return UNKNOWN
    if low is None or high is None or low == high:
        return f"{rank:g}"
    return f"{rank:g} ({low:g} to {high:g})"


def name_of_test(test: str) -> str:
    """A test as a methods section names it."""
    return TEST_NAMES.get(test, test.replace("_", " "))


def duration_text(hours: float) -> str:
    """Hours of computing in the unit that fits."""
    seconds = round(hours * 3600)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{hours:.1f} h"


def count_text(count: int, noun: str, plural: str | None = None) -> str:
    """1 run, 2 runs."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def sentence_text(words: str) -> str:
    """A remark as a sentence: a capital first, and a full stop unless it ends otherwise."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '?', '!')) else '.'}"


def list_text(names: list[str]) -> str:
    """A, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
