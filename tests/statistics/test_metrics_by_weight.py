"""Kernels: every metric under every weighting, against definitions written out and other packages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from reseed.contracts.errors import UserError
from reseed.statistics.binding import bound_kernel
from reseed.statistics.kernels import Kernel
from reseed.statistics.metric import resolved_metric
from reseed.statistics.scores import CandidateScores, CaseScores, layout_of_counts
from reseed.statistics.weighting import bootstrap_weights, stratum_of_patients


def case_kernel(metric, score, reference=None, **layout):
    score = np.asarray(score, dtype=float)
    scores = CaseScores(layout_of_counts([score.shape[1]], len(score), **layout), score, reference)
    return bound_kernel(resolved_metric(metric), scores)


@st.composite
def weighted_cases(draw):
    """Scores with ties, both classes, weights with zeros."""
    n = draw(st.integers(4, 12))
    reference = np.array([1, 0, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    score = np.array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), dtype=float)
    weight = np.array([1, 1, *draw(st.lists(st.integers(0, 3), min_size=n - 2, max_size=n - 2))], dtype=float)
    return score, reference, weight


class TestMeans:
    def test_hand_worked(self):
        """An undefined case leaves the numerator and the denominator of its run only."""
        kernel = case_kernel("dsc", [[0.5, 0.5], [0.9, np.nan], [0.7, 0.1]])

        np.testing.assert_allclose(
            kernel.weighted(np.array([[1, 1, 1], [1, 2, 0]])), [[0.7, 0.3], [2.3 / 3, 0.5]]
        )

    def test_undefined_without_weight(self):
        """A weighting that leaves no defined case gives NaN."""
        assert np.isnan(case_kernel("dsc", [[0.5], [np.nan]]).weighted(np.array([[0, 1]]))).all()


class TestAuroc:
    def test_hand_worked(self):
        """Of six pairs four are won, one is tied: AUROC 4.5 / 6."""
        kernel = case_kernel("auroc", [[3], [2], [3], [1], [0]], np.array([1, 1, 0, 0, 0]))

        assert kernel.observed() == pytest.approx([(2.5 + 2) / 6])

    @given(weighted_cases())
    def test_second_source(self, drawn):
        """Weighted AUROC and AP equal scikit-learn's, ties and zero weights included."""
        score, reference, weight = drawn
        for metric, peer in (("auroc", roc_auc_score), ("ap", average_precision_score)):
            found = case_kernel(metric, score[:, None], reference).weighted(weight[None])[0, 0]
            assert found == pytest.approx(peer(reference, score, sample_weight=weight), abs=1e-12)

    def test_one_class_left(self):
        """A weighting with one class only gives NaN, not an error."""
        kernel = case_kernel("auroc", [[1], [0]], np.array([1, 0]))

        assert np.isnan(kernel.weighted(np.array([[1.0, 0.0]]))).all()


@given(weighted_cases(), st.booleans())
def test_leave_one_out_closed_forms(drawn, weighted):
    """Closed forms of AUROC and AP with a patient left out equal the weighted metric, in clusters too."""
    score, reference, weight = drawn
    patient = np.arange(len(score)) // 2
    layout = {"patient_of_case": patient, "case_weight": weight if weighted else None}
    for metric in ("auroc", "ap", "auroc+ap"):
        kernel = case_kernel(metric, np.stack([score, -score], axis=1), reference, **layout)
        np.testing.assert_allclose(kernel.leave_one_out(), Kernel.leave_one_out(kernel), atol=1e-12)


@given(weighted_cases())
def test_integer_weights_are_copies(drawn):
    """A case with weight w counts as w copies of it."""
    score, reference, weight = drawn
    copies = np.repeat(np.arange(len(score)), weight.astype(int))
    for metric in ("auroc", "ap"):
        weighted = case_kernel(metric, score[:, None], reference).weighted(weight[None])
        copied = case_kernel(metric, score[copies, None], reference[copies]).observed()
        np.testing.assert_allclose(weighted[0], copied, atol=1e-12)


@pytest.mark.parametrize("metric", ["auroc", "ap", "dsc"])
def test_blocks_do_not_matter(rng, metric):
    """Weightings worked on in blocks equal weightings worked on one by one."""
    reference = None if metric == "dsc" else np.repeat([1, 0], [10, 15])
    kernel = case_kernel(metric, rng.random((25, 3)), reference)
    W = rng.integers(0, 3, (kernel.block + 7, 25)).astype(float)

    together = kernel.weighted(W)

    np.testing.assert_allclose(together, np.concatenate([kernel.weighted(w) for w in W]), equal_nan=True)


class TestUserFunctions:
    def test_equals_the_kernel(self, rng):
        """A function f(reference, score, weights) sees the same weights as the kernels."""

        def area(reference, score, weights):
            return roc_auc_score(reference, score, sample_weight=weights)

        reference = np.repeat([1, 0], [5, 9])
        scores = CaseScores(layout_of_counts([2], 14), rng.random((14, 2)), reference)
        W = rng.integers(1, 4, (5, 14)).astype(float)

        found = bound_kernel(resolved_metric(area), scores).weighted(W)

        np.testing.assert_allclose(
            found, bound_kernel(resolved_metric("auroc"), scores).weighted(W), atol=1e-12
        )


class TestCandidates:
    def lesions(self):
        """Three cases: a hit .9 and a miss; a false positive .8; a hit .4 under a false positive .6."""
        layout = layout_of_counts([1], 3)
        row_case = np.array([0, 0, 1, 2, 2])
        row_score = np.array([0.9, np.nan, 0.8, 0.4, 0.6])
        row_reference = np.array([1, 1, 0, 1, 0])
        return CandidateScores(layout, (row_case,), (row_score,), (row_reference,))

    def test_pooled_average_precision(self):
        """Hits at ranks 1 and 4 of three lesions: (1/1 + 2/4)/3; the missed one has precision 0."""
        kernel = bound_kernel(resolved_metric("lesion_ap"), self.lesions())

        assert kernel.observed() == pytest.approx([(1 + 2 / 4) / 3])

    def test_weights_go_with_the_case(self):
        """Twice the third case: hits 1, then two at ranks 5 and 6 together, four lesions in all."""
        kernel = bound_kernel(resolved_metric("lesion_ap"), self.lesions())

        found = kernel.weighted(np.array([[1.0, 1.0, 2.0]]))

        assert found[0] == pytest.approx([(1 * 1 + 2 * (3 / 6)) / 4])

    def test_case_score_is_the_highest_candidate(self):
        """Case scores .9 and .6 against .8: one of two pairs is won."""
        assert bound_kernel(resolved_metric("case_auroc"), self.lesions()).observed() == pytest.approx([0.5])

    def test_picai_score_is_the_mean(self):
        """The ranking score is the mean of case AUROC and lesion AP."""
        found = bound_kernel(resolved_metric("picai_score"), self.lesions()).observed()

        assert found == pytest.approx([(0.5 + 0.5) / 2])

    def test_lesion_metrics_of_a_fixed_set(self, rng):
        """With one row a lesion, lesion AUROC and AP are scikit-learn's over rows, weights by patient."""
        case = np.repeat(np.arange(6), 2)
        reference = np.tile([1, 0], 6)
        score = rng.integers(0, 4, 12).astype(float)
        scores = CandidateScores(layout_of_counts([1], 6), (case,), (score,), (reference,))
        weight = np.array([1.0, 2, 0, 1, 3, 1])
        for metric, peer in (("lesion_auroc", roc_auc_score), ("fixed_lesion_ap", average_precision_score)):
            found = bound_kernel(resolved_metric(metric), scores).weighted(weight[None])
            assert found[0, 0] == pytest.approx(peer(reference, score, sample_weight=weight[case]))


class TestBootstrapWeights:
    def test_a_patients_cases_share_their_weight(self, rng):
        """Every weighting draws as many patients as there are; cases of one patient have one weight."""
        layout = layout_of_counts([1], 7, patient_of_case=np.array([0, 0, 1, 2, 2, 2, 3]))

        W = np.concatenate(list(bootstrap_weights(layout, 50, rng)))

        assert W.shape == (50, 7)
        assert (W[:, 0] == W[:, 1]).all()
        assert (W[:, 3:5] == W[:, 5:6]).all()
        assert (W[:, [0, 2, 3, 6]].sum(axis=1) == 4).all()

    def test_strata_keep_their_size(self, rng):
        """Stratified by class, every resample has the classes of the sample."""
        layout = layout_of_counts([1], 10)
        reference = np.repeat([1, 0], [3, 7])
        stratum = stratum_of_patients(layout, reference)

        W = np.concatenate(list(bootstrap_weights(layout, 20, rng, stratum_of_patient=stratum)))

        assert (W[:, :3].sum(axis=1) == 3).all()

    @settings(max_examples=5)
    @given(st.integers(1, 400))
    def test_all_replicates_come(self, n_replicates):
        """However many replicates, that many rows come."""
        layout = layout_of_counts([1], 1000)
        rng = np.random.default_rng(1)

        assert sum(len(W) for W in bootstrap_weights(layout, n_replicates, rng)) == n_replicates


class TestNames:
    def test_a_mean_of_names_takes_candidates_together(self):
        """auroc+lesion_ap means the case AUROC when the other part needs candidates."""
        assert [part.name for part in resolved_metric("auroc+lesion_ap").parts] == ["case_auroc", "lesion_ap"]
        assert resolved_metric(["auroc", "ap"]).parts == resolved_metric("auroc+ap").parts

    def test_direction(self):
        """Distances are better when lower; any value can be declared so."""
        assert not resolved_metric("hd95").higher_is_better
        assert not resolved_metric("mean:volume_error:lower").higher_is_better
        assert resolved_metric("mean:sensitivity").higher_is_better

    @pytest.mark.parametrize("name", ["auroc+dsc", "dsc+hd95", "mean:", "mean:x:sideways", ["auroc"]])
    def test_refused(self, name):
        """Means of unlike metrics and malformed names are refused in one line."""
        with pytest.raises(UserError):
            resolved_metric(name)
