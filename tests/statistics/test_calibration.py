"""The calibration study: what it draws, that it resumes, and what it says."""

import json
from math import comb

import numpy as np
import pytest
from scipy import stats

from reseed.contracts.errors import UserError
from reseed.reporting.calibration_chart import write_calibration_chart
from reseed.statistics.calibration import (
    findings_document,
    findings_lines,
    findings_table,
    full_study,
    quick_study,
    retraining_cells,
    run_study,
)
from reseed.statistics.calibration.designs import Cell, paper_model
from reseed.statistics.calibration.findings import paper_conventional_rate, rate
from reseed.statistics.calibration.models import BetaModel, LatentModel, LesionModel, OverlapModel
from reseed.statistics.calibration.procedures import PROCEDURES
from reseed.statistics.calibration.retraining import RetrainedNetwork, all_splits
from reseed.statistics.metric import resolved_metric
from reseed.statistics.sample import observed_sample
from tests.statistics.conftest import simulated_table

SMALL = LatentModel(20, 30, 0.85, 0.01, 0.1)


def cell(n=120, **changes):
    values = {
        "design": "test",
        "name": "small",
        "null": "same method retrained",
        "metric": "auroc",
        "run_counts": (3, 3),
        "model": SMALL,
        "procedures": ("single_runs", "permutation", "welch"),
        "n_simulations": n,
    }
    return Cell(**(values | changes))


def counts(results):
    return [{name: vars(found) for name, found in result.counts.items()} for result in results]


class TestModels:
    @pytest.mark.parametrize("run_ratio", [1.0, 4.0])
    def test_expected_auroc(self, rng, run_ratio):
        """Every method's runs have the AUROC asked for on average, whatever its run variance."""
        model = LatentModel(150, 150, 0.85, 0.05, 0.3, difference=0.05, run_ratio=run_ratio)
        means = []
        for _ in range(60):
            scores = model.draw((3, 3), rng)
            sample = observed_sample(scores, resolved_metric("auroc"), estimator="jackknife", rng=rng)
            means.append(sample.moments.mean)

        np.testing.assert_allclose(np.mean(means, axis=0), [0.90, 0.85], atol=0.012)

    def test_ratings(self, rng):
        """Cut into levels, scores are ratings with ties."""
        score = LatentModel(20, 30, 0.85, 0.01, 0.1, n_levels=5).draw((2, 2), rng).score

        assert set(np.unique(score)) <= set(range(5))

    def test_lesions(self, rng):
        """Every run lists the same lesions; what it missed has no score."""
        scores = LesionModel(12, 8, run=0.01, run_case=0.1, threshold=1.5).draw((2, 1), rng)
        rows = zip(scores.row_case, scores.row_reference, strict=True)
        lesions = [np.bincount(case[reference == 1], minlength=20) for case, reference in rows]

        assert (lesions[0] == lesions[1]).all()
        assert (lesions[0] == lesions[2]).all()
        assert np.isnan(scores.row_score[0][scores.row_reference[0] == 1]).any()
        assert np.isfinite(scores.row_score[0][scores.row_reference[0] == 0]).all()

    def test_overlaps_and_betas(self, rng):
        """Overlaps lie between 0 and 1; appendix C's runs share no case effect."""
        assert OverlapModel(30, run=0.01, run_case=0.1).draw((2, 2), rng).score.min() > 0
        score = BetaModel().draw((1, 1), rng).score[300:]
        assert abs(np.corrcoef(score[:, 0], score[:, 1]).min()) < 0.15

    def test_real_retrainings_differ(self, rng):
        """A retrained network has another AUROC each time, and is better than chance."""
        scores = RetrainedNetwork().draw((4, 4), rng)
        theta = observed_sample(scores, resolved_metric("auroc"), estimator="jackknife", rng=rng).theta

        assert theta.std() > 0.002
        assert theta.mean() > 0.65


class TestStudy:
    def test_workers_and_interruptions_change_nothing(self, tmp_path):
        """Two processes, and a study stopped and gone on with, give the counts of one process."""
        whole = run_study([cell()], seed=4)
        run_study([cell(n=50)], seed=4, folder=tmp_path)
        file = tmp_path / "chunks.jsonl"
        file.write_text(file.read_text() + '{"seed": 4, "key": "torn')
        seen: list[tuple[int, int]] = []
        resumed = run_study(
            [cell()],
            seed=4,
            folder=tmp_path,
            n_workers=2,
            progress=lambda done, total, _: seen.append((done, total)),
        )

        assert counts(whole) == counts(resumed)
        assert [len(seen), seen[-1]] == [2, (120, 120)]  # the first fifty were kept
        again = run_study(
            [cell()], seed=4, folder=tmp_path, progress=lambda *_: pytest.fail("simulated again")
        )
        assert counts(again) == counts(whole)

    def test_a_changed_design_or_seed_is_simulated_anew(self, tmp_path):
        """Finished work counts for its own seed and model only."""
        run_study([cell(n=50)], seed=4, folder=tmp_path)
        for changed, seed in ((cell(n=50), 5), (cell(n=50, model=LatentModel(21, 30, 0.85, 0.01, 0.1)), 4)):
            seen: list[int] = []
            run_study(
                [changed], seed=seed, folder=tmp_path, progress=lambda done, *_, seen=seen: seen.append(done)
            )
            assert seen == [50]

    def test_refused_studies_are_counted(self):
        """A simulated study that leaves the metric undefined is counted, not hidden."""
        found = run_study([cell(n=10, model=LatentModel(1, 9, 0.9, 0.01, 0.1))])[0]

        assert found.n_undefined == 10
        assert found.counts["welch"].n == 0

    @pytest.mark.parametrize("procedure", PROCEDURES)
    def test_every_procedure_gives_a_p_value(self, procedure):
        """Every procedure answers a study of several methods with a p value between 0 and 1."""
        run_counts = (3, 3, 3, 3) if procedure.startswith(("smallest", "moderated")) else (3, 3)
        found = run_study([cell(n=3, run_counts=run_counts, procedures=(procedure,))])[0].counts[procedure]

        assert found.n == 3
        assert found.rejected == sorted(found.rejected)
        assert found.covered <= found.n_intervals <= 3


class TestDesigns:
    def test_the_full_study_has_all_designs(self):
        """Five designs, both nulls, three kinds of metrics, power; every cell has a key of its own."""
        cells = full_study(2000)

        assert len({each.key for each in cells}) == len(cells)
        assert {each.design[0] for each in cells} == set("12345p")
        assert {each.metric for each in cells} == {"auroc", "ap", "lesion_ap", "picai_score", "dsc"}
        assert {3, 5, 7, 10} <= {each.run_counts[0] for each in cells}
        assert all(each.n_simulations >= 2000 for each in cells if "bootstrap" not in each.name)
        assert next(each for each in cells if each.design == "3 appendix C").n_simulations == 30_000

    def test_the_quick_study_is_small(self):
        """The quick study has all designs and few simulations."""
        cells = quick_study()

        assert {each.design[0] for each in cells} == set("12345p")
        assert sum(each.n_simulations for each in cells) < 12_000

    def test_splits(self):
        """Six runs have ten halvings, five have ten splits of three and two; three are too few."""
        assert len(all_splits(6)) == comb(6, 3) // 2
        assert len(all_splits(5)) == comb(5, 3)
        with pytest.raises(UserError, match="4 or more of them, got 3"):
            all_splits(3)

    def test_a_table_of_real_retrainings(self, rng):
        """Every method's runs are split in all ways, each split tested once."""
        cells = retraining_cells(simulated_table(rng, [4, 5, 2]), "auroc")

        assert [(each.name, each.run_counts, each.n_simulations) for each in cells[:2]] == [
            ("A split", (2, 2), 3),
            ("B split", (3, 2), 10),
        ]
        assert run_study(cells[:1])[0].counts["welch"].n == 3


@pytest.fixture(scope="module")
def results():
    null = cell(n=60, run_counts=(5, 5))
    power = cell(n=20, name="LNm +.02", model=LatentModel(20, 30, 0.85, 0.01, 0.1, difference=0.1))
    paper = [
        cell(n=20, design="1 paper", name=task, run_counts=(1, 1), procedures=("single_runs_bootstrap",))
        for task in ("csPCa", "PaC", "LNm")
    ]
    return run_study([null, power, *paper])


class TestFindings:
    def test_document(self, results):
        """One finite record for every cell and procedure."""
        document = findings_document(results, seed=0)

        assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert len(document["cells"]) == 9
        assert document["conventional_rate"]["n"] == 60

    def test_lines_and_table(self, results):
        """The lines name every cell and end with the extremes; the table has a row a cell."""
        lines = list(findings_lines(results))
        table = findings_table(results)

        assert lines[0] == "test · small · auroc · 5 v 5 runs · same method retrained"
        assert lines[-1].startswith("its 95 % intervals cover the truth in")
        assert (
            sum(line.startswith(("| small", "| LNm", "| csPCa", "| PaC")) for line in table.splitlines()) == 5
        )

    def test_charts(self, results, tmp_path):
        """Levels and power are drawn as SVG and PNG."""
        files = write_calibration_chart(findings_document(results, seed=0), tmp_path)

        assert [file.name for file in files] == [
            "calibration.svg",
            "calibration.png",
            "power.svg",
            "power.png",
        ]
        assert all(file.stat().st_size > 1000 for file in files)

    def test_wilson(self):
        """Wilson's interval is scipy's; of nothing it is NaN."""
        found = rate(26, 174)
        expected = stats.binomtest(26, 174).proportion_ci(method="wilson")

        assert [found.share, found.low, found.high] == pytest.approx([26 / 174, *expected])
        assert np.isnan(rate(0, 0).share)


@pytest.mark.slow
def test_the_convention_on_the_papers_tasks():
    """One-sided paired bootstraps between retrainings claim 14.8 % ± 1.5, weighted as published (trimmed)."""
    cells = [
        cell(
            n=700,
            design="1 paper",
            name=task,
            run_counts=(1, 1),
            model=paper_model(task),
            procedures=("single_runs_bootstrap",),
        )
        for task in ("csPCa", "PaC", "LNm")
    ]

    found = paper_conventional_rate(run_study(cells, seed=2))

    assert found is not None
    assert 0.148 - 0.015 - 0.02 < found.share < 0.148 + 0.015 + 0.02
