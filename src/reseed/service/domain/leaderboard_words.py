"""What a leaderboard says in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from reseed.statistics import Scope

ONE_RUN = "one run: what a retraining would change is unknown"
NOT_THESE_CASES = "evaluated on other cases than the newest submissions"
UNDEFINED = "the metric's spread is not defined on these cases"
_NAMED_UP_TO = 4

_IF = {
    Scope.POPULATION: "if all were retrained and shown new patients",
    Scope.TEST_SET: "if all were retrained and shown these {case_noun} again",
    Scope.TRAINED_MODELS: "if these very models, not retrained, were shown new patients",
}


def first_place_sentence(
    first: str, tied: Sequence[str], n_ranked: int, *, scope: Scope, case_noun: str, unsure: bool
) -> str:
    """
    Who is first, and who cannot be told from being first.

    Parameters
    ----------
    first
        The name with the best score.
    tied
        Those whose rank interval begins at 1, among them the first.
    n_ranked
        Of how many.
    scope, case_noun
        What it holds for.
    unsure
        Whether there is anybody else.
    """
    condition = _IF[scope].format(case_noun=case_noun)
    if not unsure:
        return f"{first} is the only one that can be ranked {condition}."
    if len(tied) <= 1:
        return f"{first} is first of {n_ranked}, {condition}: every other is told apart from it."
    if len(tied) == n_ranked:
        none = "Neither" if n_ranked == 2 else f"None of the {n_ranked}"
        return f"{none} can be excluded from first place, {condition}; {first} has the best score."
    others = [name for name in tied if name != first]
    named = _list(others) if len(others) < _NAMED_UP_TO else f"{len(others)} others"
    return f"{first} has the best score; {named} cannot be excluded from first place, {condition}."


def win_sentence(first: str, probability: float, n_runs: int, case_noun: str) -> str:
    """Whether the winner would win again."""
    percent = 100 * probability
    said = "less than 1 %" if percent < 1 else "more than 99 %" if percent > 99 else f"about {percent:.0f} %"
    few = "" if n_runs > 3 else " The spread over so few runs is itself poorly known."
    return (
        f"Would the winner win again? If every ranked submission were retrained once and scored on these "
        f"{case_noun}, {first} would come first {said} of the time.{few}"
    )


def limit_sentence(smallest_p: float, level: float) -> str:
    """What too few runs make impossible; empty when they do not."""
    if smallest_p <= level:
        return ""
    return (
        f"Some submissions have too few runs for this scope: no permutation of them can reach a p value "
        f"below {smallest_p:.2g}, so that no difference between them, however large, can be claimed."
    )


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
