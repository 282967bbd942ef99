"""The leaderboard says what the metrics of the submissions say, and no more than each scope allows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reseed.contracts.errors import UserError
from reseed.scoring.tables import metric_tables
from reseed.service.domain.leaderboard import Entry, Leaderboard, leaderboard
from reseed.statistics import Scope, compare
from tests.service.boards import entry, metrics_of


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    rng = np.random.default_rng(5)
    return [
        entry("weak", 0.2, 5, rng),
        entry("good", 2.5, 5, rng),
        entry("twin", 2.5, 5, rng),
        entry("once", 2.6, 1, rng),
    ]


@pytest.fixture(scope="module")
def board(entries: list[Entry]) -> Leaderboard:
    return leaderboard(entries, "auroc", case_noun="nodules", rng=np.random.default_rng(0))


def test_numbers_are_those_of_the_comparison(entries: list[Entry], board: Leaderboard) -> None:
    """Scores, intervals and ranks are what `reseed compare` gives for the same runs."""
    runs = {
        (each.name, number): metrics
        for each in entries[:3]
        for number, metrics in enumerate(each.metrics, start=1)
    }
    result = compare(metric_tables(runs, ["auroc"])[0].table, metric="auroc", scope="population")
    expected = result.methods.set_index("method").join(
        result.ranks.set_index("method").rename(columns={"low": "rank_low", "high": "rank_high"})
    )

    for place in board.scopes[Scope.POPULATION].places:
        row = expected.loc[place.name]
        assert place.score == row["mean"]
        assert place.sd == row["sd"]
        assert (place.low, place.high) == (row["low"], row["high"])
        assert (place.rank, place.rank_low, place.rank_high) == (
            row["rank"],
            row["rank_low"],
            row["rank_high"],
        )
        assert place.group == row["group"]


def test_those_that_cannot_be_told_apart_share_ranks_and_letters(board: Leaderboard) -> None:
    """Two strong ones share first place; the weak one is third for certain."""
    places = {place.name: place for place in board.scopes[Scope.POPULATION].places}

    assert (places["good"].rank_low, places["good"].rank_high) == (1, 2)
    assert (places["twin"].rank_low, places["twin"].rank_high) == (1, 2)
    assert (places["weak"].rank_low, places["weak"].rank_high) == (3, 3)
    assert places["good"].group == places["twin"].group == "a"
    assert places["weak"].group == "b"
    assert places["good"].n_apart == 1
    assert places["weak"].n_apart == 0


def test_a_single_run_is_ranked_as_a_trained_model_only(board: Leaderboard) -> None:
    """Nothing is said about the retraining of what was trained once, not even a chance to win."""
    for scope in (Scope.POPULATION, Scope.TEST_SET):
        assert [row.name for row in board.scopes[scope].unranked] == ["once"]
        assert "one run" in board.scopes[scope].unranked[0].why
    trained = {place.name: place for place in board.scopes[Scope.TRAINED_MODELS].places}
    assert trained["once"].n_runs == 1
    assert trained["once"].sd is None
    assert all(place.win_probability is None for place in trained.values())


def test_the_chances_to_win_again_are_shared_out(board: Leaderboard) -> None:
    """They add up to one among those that can be retrained, and a sentence says the winner's."""
    population = board.scopes[Scope.POPULATION]
    chances = [place.win_probability or 0.0 for place in population.places]

    assert sum(chances) == pytest.approx(1)
    assert 0.1 < chances[0] < 0.9
    assert any(
        f"{100 * chances[0]:.0f} %" in sentence and "retrained once" in sentence
        for sentence in population.sentences
    )


def test_the_matrix_is_in_order_of_rank_and_antisymmetric(board: Leaderboard) -> None:
    """Row minus column, with the verdict turned round on the other side of the diagonal."""
    population = board.scopes[Scope.POPULATION]
    order = [place.name for place in population.places]
    weak = order.index("weak")

    assert len(population.matrix) == len(order) == 3
    assert population.matrix[0][0] is None
    over, under = population.matrix[0][weak], population.matrix[weak][0]
    assert over is not None
    assert under is not None
    assert over.difference == -under.difference > 0
    assert (over.verdict, under.verdict) == ("better", "worse")
    assert over.p_adjusted == under.p_adjusted < 0.05


def test_submissions_of_other_cases_are_listed_and_not_ranked() -> None:
    """After the hidden cases changed, an old submission's score is of another test."""
    rng = np.random.default_rng(1)
    old = entry("old", 2.0, 4, rng, first_case=500)
    board = leaderboard(
        [old, entry("one", 2.0, 4, rng), entry("two", 1.0, 4, rng)], "auroc", rng=np.random.default_rng(0)
    )

    population = board.scopes[Scope.POPULATION]
    assert {place.name for place in population.places} == {"one", "two"}
    assert [(row.name, "other cases" in row.why) for row in population.unranked] == [("old", True)]
    assert board.n_submissions == 3


def test_nothing_evaluated_is_an_empty_board() -> None:
    """A new phase has a leaderboard with nobody in it."""
    board = leaderboard([], "auroc", rng=np.random.default_rng(0))

    assert board.n_submissions == 0
    assert board.default_scope is None


def test_one_submission_stands_alone() -> None:
    """It is first of one, and the words do not make more of it."""
    board = leaderboard(
        [entry("only", 2.0, 4, np.random.default_rng(1))], "auroc", rng=np.random.default_rng(0)
    )

    (place,) = board.scopes[Scope.POPULATION].places
    assert (place.rank_low, place.rank_high, place.win_probability) == (1, 1, None)
    assert "only one" in board.scopes[Scope.POPULATION].sentences[0]


def test_single_runs_alone_are_compared_as_trained_models() -> None:
    """The ordinary challenge: one run each, and the one scope that allows it."""
    rng = np.random.default_rng(1)
    board = leaderboard(
        [entry("one", 2.0, 1, rng), entry("two", 1.0, 1, rng)], "auroc", rng=np.random.default_rng(0)
    )

    assert board.default_scope is Scope.TRAINED_MODELS
    assert board.scopes[Scope.POPULATION].places == ()


def test_a_metric_that_nothing_can_be_compared_by_is_refused() -> None:
    """The message names it."""
    one = Entry("a", "a", (metrics_of(1.0, np.random.default_rng(0)),))

    with pytest.raises(UserError, match="brier"):
        leaderboard([one], "brier", rng=np.random.default_rng(0))


def test_it_is_the_same_again_and_survives_json(entries: list[Entry], board: Leaderboard) -> None:
    """The cache may hold it as JSON: nothing is lost, and computing it again gives the same."""
    again = leaderboard(entries, "auroc", case_noun="nodules", rng=np.random.default_rng(0))

    assert again == board
    assert Leaderboard.model_validate_json(json.dumps(board.model_dump(mode="json"))) == board


def test_too_few_cases_rank_nobody() -> None:
    """Where the spread over cases is undefined all are listed, and the words name no hidden case."""
    rng = np.random.default_rng(1)
    board = leaderboard(
        [entry("one", 2.0, 1, rng, n_cases=3), entry("two", 1.0, 1, rng, n_cases=3)],
        "auroc",
        rng=np.random.default_rng(0),
    )

    assert board.default_scope is None
    unranked = board.scopes[Scope.TRAINED_MODELS].unranked
    assert [row.name for row in unranked] == ["one", "two"]
    assert all("case-" not in row.why for row in unranked)
