"""Seeds: all from one entropy, one stream at a time."""

from __future__ import annotations

import pytest

from reseed.contracts.seeds import SeedStream
from reseed.contracts.study import Study
from reseed.orchestration.seeds import job_seeds, method_seeds

RECORDED = {
    "weights": 2899853291,
    "order": 1085886175,
    "augmentation": 1608412514,
    "dropout": 3855749239,
    "split": 25579554,
}


def _study(**changes: object) -> Study:
    return Study.model_validate(
        {
            "study": "s", "task": "t", "dataset": "d", "entropy": 1, "runs": 3, "members": 2,
            "methods": {"a": {"algorithm": "x"}, "b": {"algorithm": "x"}},
            **changes,
        }
    )  # fmt: skip


def test_the_same_study_gives_the_same_seeds():
    """Seeds are recorded numbers: these may never change, or old studies could not be repeated."""
    seeds = job_seeds(_study(entropy=20230711), method="a", run=0, member=0)

    assert seeds.model_dump() == RECORDED


def test_entropy_zero_is_an_entropy():
    """Zero is a value like any other."""
    assert job_seeds(_study(entropy=0), method="a", run=0, member=0) != job_seeds(
        _study(entropy=1), method="a", run=0, member=0
    )


@pytest.mark.parametrize("stream", list(SeedStream))
def test_only_the_varied_stream_varies(stream: SeedStream):
    """`vary: [weights]` holds the rest, over runs and over methods."""
    study = _study(vary=[stream.value])
    seeds = [
        job_seeds(study, method=method, run=run, member=0).model_dump() for method in "ab" for run in range(3)
    ]

    for name in SeedStream:
        values = {each[name.value] for each in seeds}
        assert len(values) == (6 if name is stream else 1)


def test_members_of_a_run_differ_in_all_but_the_split():
    """The folds of one run are folds of one split."""
    first, second = (job_seeds(_study(), method="a", run=0, member=member) for member in (0, 1))

    assert first.split == second.split
    assert all(
        getattr(first, stream.value) != getattr(second, stream.value)
        for stream in SeedStream
        if stream is not SeedStream.SPLIT
    )


def test_runs_of_one_level_share_its_seed():
    """A designed study: 3 × 2 runs have three seeds of weights and two of the order; the rest is held."""
    study = _study(runs=6, design={"kind": "crossed", "levels": {"weights": 3, "order": 2}})
    seeds = [job_seeds(study, method="a", run=run, member=0) for run in range(6)]

    assert [each.weights for each in seeds] == [seeds[2 * (run // 2)].weights for run in range(6)]
    assert [each.order for each in seeds] == [seeds[run % 2].order for run in range(6)]
    assert len({each.weights for each in seeds}) == 3
    assert len({each.order for each in seeds}) == 2
    assert len({(each.augmentation, each.dropout, each.split) for each in seeds}) == 1
    assert job_seeds(study, method="b", run=0, member=0).weights != seeds[0].weights


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"entropy": 2**128 - 1, "members": 5},
        {"vary": ["order"]},
        {"vary": ["split", "nondeterminism"]},
        {"runs": 6, "design": {"kind": "crossed", "levels": {"weights": 2, "split": 3}}},
    ],
)
def test_all_at_a_time_as_one_by_one(changes: dict[str, object]):
    """A plan's seeds are those of the record of each job."""
    study = _study(**changes)

    for method in "ab":
        expected = [
            [job_seeds(study, method=method, run=run, member=member) for member in range(study.members)]
            for run in range(study.n_runs(method))
        ]
        assert method_seeds(study, method=method) == expected
