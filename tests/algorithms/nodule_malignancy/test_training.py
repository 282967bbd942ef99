"""One training in this process: learning, and seed streams that are really separate."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.common.checkpoint import Checkpoint
from algorithms.common.folds import is_validation_case
from algorithms.common.member import Member
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.preprocessed import read_preprocessed
from algorithms.nodule_malignancy.schemes import TrainingCases, drawn_network, scheme_of
from algorithms.nodule_malignancy.settings import OUTLINES, TrainingSettings
from algorithms.nodule_malignancy.training import Training, network_arrays
from reseed.contracts.errors import UserError
from reseed.contracts.seeds import Seeds
from tests.algorithms.nodule_malignancy.conftest import same, trained_in_steps

pytestmark = pytest.mark.usefixtures("repeatable")

SEEDS = Seeds(weights=0, order=1, augmentation=2, dropout=3, split=4)


@pytest.fixture
def training(preprocessed):
    def make(seeds=SEEDS, **given):
        given = {"dimension": 3, "channels": 4, "epochs": 2, "batch_size": 16} | given
        settings = TrainingSettings.of(manifest().resolved_settings(given, stage="train"))
        cases = read_preprocessed(preprocessed[settings.dimension], dimension=settings.dimension)
        labels = np.array([row.label for row in cases.cases])
        held_out = is_validation_case(
            Member(0, 3), [row.patient for row in cases.cases], labels.tolist(), rng=np.random.default_rng(4)
        )
        sides = tuple(TrainingCases.chosen(cases.patches, labels, side) for side in (~held_out, held_out))
        return Training(
            settings,
            seeds,
            network=drawn_network(settings, OUTLINES, seed=seeds.weights),
            scheme=scheme_of(settings, OUTLINES, *sides, device="cpu"),
            training=sides[0],
            validation=sides[1],
            device="cpu",
        )

    return make


class TestLearning:
    @pytest.mark.parametrize("dimension", [2, 3])
    def test_large_balls_from_small(self, trained, dimension):
        """
        Either dimension learns what size says.
        """
        made = trained(dimension=dimension, epochs=6, learning_rate=0.01)

        assert made.best_epoch.validation_auc > 0.85
        assert made.curve[-1].training_loss < made.curve[0].training_loss

    def test_best_epoch(self, trained):
        """
        The weights kept are those of the epoch of lowest validation loss.
        """
        made = trained(epochs=5, learning_rate=0.05)

        losses = [row.validation_loss for row in made.curve]
        assert [row.epoch for row in made.curve] == [0, 1, 2, 3, 4]
        assert made.best_epoch.validation_loss == min(losses)

    def test_divergence(self, tmp_path, training):
        """
        A loss that is no longer finite ends the training with one line of advice.
        """
        made = training()
        for parameter in made.network.parameters():
            parameter.data.mul_(1e38)

        with pytest.raises(UserError, match=r"the loss must stay finite, got .* lower learning_rate"):
            made.run(Checkpoint(tmp_path, "test"), lambda: False)


class TestSeedStreams:
    def test_same_seeds(self, trained):
        """
        The same seeds give the same bits.
        """
        assert same(trained().best_weights, trained().best_weights)

    def test_weights(self, training):
        """
        The first weights depend on `weights` and on no other stream.
        """
        first = network_arrays(training().network)
        others = Seeds(weights=0, order=91, augmentation=92, dropout=93, split=94)

        assert same(first, network_arrays(training(others).network))
        assert not same(first, network_arrays(training(SEEDS.model_copy(update={"weights": 1})).network))

    @pytest.mark.parametrize("stream", ["order", "augmentation", "dropout"])
    def test_each_stream_counts(self, trained, stream):
        """
        Varying one stream alone leads to other weights.
        """
        varied = SEEDS.model_copy(update={stream: 77})

        assert not same(trained().best_weights, trained(varied).best_weights)

    @pytest.mark.parametrize(
        ("stream", "off"), [("augmentation", {"augmentation": 0}), ("dropout", {"dropout": 0})]
    )
    def test_a_stream_that_is_switched_off(self, trained, stream, off):
        """
        Without augmentation its seed does not matter, and so for dropout: nothing else draws from it.
        """
        varied = SEEDS.model_copy(update={stream: 77})

        assert same(trained(**off).best_weights, trained(varied, **off).best_weights)

    def test_order_alone(self, trained):
        """
        With all cases in one batch their order hardly matters: the order stream does nothing else.
        """
        still = {"augmentation": 0, "dropout": 0, "batch_size": 100}
        varied = SEEDS.model_copy(update={"order": 77})

        first, second = trained(**still).best_weights, trained(varied, **still).best_weights

        for name in first:
            np.testing.assert_allclose(first[name], second[name], rtol=1e-3, atol=1e-4)


class TestResuming:
    def test_at_every_step(self, tmp_path, training, trained):
        """
        A training stopped and taken up again before every step, each time by a new object, ends
        with the bits of one that never stopped.
        """
        checkpoint = Checkpoint(tmp_path / "resumed", "test")
        made, n_starts = trained_in_steps(training, checkpoint)

        assert n_starts > 4
        undisturbed = trained()
        assert same(made.best_weights, undisturbed.best_weights)
        assert made.curve == undisturbed.curve
