"""Training on CT: streams, balance, resumption, precision, weights to start from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from algorithms.common.adamw import Adam
from algorithms.common.arrays import ArrayFile, array_file_bytes
from algorithms.common.checkpoint import Checkpoint
from algorithms.common.member import Member
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.inception import InceptionI3D
from algorithms.nodule_malignancy.initial import start_from
from algorithms.nodule_malignancy.resnet import PlanesResNet50, ResNet50
from algorithms.nodule_malignancy.scans import cube_side
from algorithms.nodule_malignancy.schemes import CtScheme, TrainingCases, drawn_network, scheme_of
from algorithms.nodule_malignancy.settings import (
    BOTH,
    PLANES,
    VOLUME,
    TrainingSettings,
    architecture_of,
    fold_of,
)
from algorithms.nodule_malignancy.training import Training, network_arrays
from reseed.contracts.errors import UserError
from reseed.contracts.seeds import Seeds
from tests.algorithms.nodule_malignancy.conftest import same, trained_in_steps

pytestmark = pytest.mark.usefixtures("repeatable")

SEEDS = Seeds(weights=0, order=1, augmentation=2, dropout=3, split=4)
SMOKE = manifest().profiles["smoke_ct"]


@pytest.fixture(scope="module")
def sides():
    """Thirty noisy cubes, ten of them held out; the malignant third has a bright ball in the middle."""
    rng = np.random.default_rng(0)
    side = cube_side(16)
    labels = (np.arange(30) % 3 == 0).astype(np.int64)
    distance = np.sqrt(((np.indices((side,) * 3) - (side - 1) / 2) ** 2).sum(0))
    cubes = rng.normal(-800, 100, (30, side, side, side))
    cubes += np.where(distance < 4, 600, 0) * labels[:, None, None, None]
    held_out = np.arange(30) >= 20
    stored = cubes.astype(np.int16)
    return tuple(TrainingCases.chosen(stored, labels, chosen) for chosen in (~held_out, held_out))


@pytest.fixture
def training(sides):
    def make(seeds=SEEDS, architecture=PLANES, **given):
        settings = TrainingSettings.of(
            manifest().resolved_settings(SMOKE | {"network": architecture} | given, stage="train")
        )
        return Training(
            settings,
            seeds,
            network=drawn_network(settings, architecture, seed=seeds.weights),
            scheme=scheme_of(settings, architecture, *sides, device="cpu"),
            training=sides[0],
            validation=sides[1],
            device="cpu",
        )

    return make


@pytest.mark.parametrize("architecture", [PLANES, VOLUME])
class TestBoth:
    def test_learns(self, trained, architecture):
        """
        Either network learns to see the ball.
        """
        made = trained(architecture=architecture, epochs=8, learning_rate=0.003)

        assert made.best_epoch.validation_auc > 0.9

    def test_same_seeds(self, trained, architecture):
        """
        The same seeds give the same bits.
        """
        assert same(
            trained(architecture=architecture).best_weights, trained(architecture=architecture).best_weights
        )

    @pytest.mark.parametrize("stream", ["weights", "order", "augmentation", "dropout"])
    def test_each_stream_counts(self, trained, architecture, stream):
        """
        Varying one stream alone leads to other weights.
        """
        varied = SEEDS.model_copy(update={stream: 77})

        first = trained(architecture=architecture).network
        second = trained(varied, architecture=architecture).network
        assert not same(network_arrays(first), network_arrays(second))

    @pytest.mark.parametrize(
        ("stream", "off"), [("augmentation", {"augmentation": 0}), ("dropout", {"dropout": 0})]
    )
    def test_a_stream_that_is_switched_off(self, trained, architecture, stream, off):
        """
        Without augmentation its seed does not matter, and so for dropout.
        """
        varied = SEEDS.model_copy(update={stream: 77})

        first = trained(architecture=architecture, **off).network
        second = trained(varied, architecture=architecture, **off).network
        assert same(network_arrays(first), network_arrays(second))

    def test_resumed_at_every_step(self, tmp_path, training, trained, architecture):
        """
        A training stopped and taken up before every step ends with the bits of one that never stopped.
        """
        checkpoint = Checkpoint(tmp_path / "resumed", "test")
        made, n_starts = trained_in_steps(lambda: training(architecture=architecture), checkpoint)

        assert n_starts > 4
        undisturbed = trained(architecture=architecture)
        assert same(made.best_weights, undisturbed.best_weights)
        assert made.curve == undisturbed.curve

    def test_bfloat16(self, trained, architecture):
        """
        On a CPU the setting changes nothing: its bits are those of float32.
        """
        plain, cast = (
            trained(architecture=architecture, precision=precision).network
            for precision in ("float32", "bfloat16")
        )

        assert same(network_arrays(plain), network_arrays(cast))


class TestScheme:
    def test_balanced_order(self, sides):
        """
        An epoch has as many cases as there are, half of either class on average.
        """
        settings = TrainingSettings.of(manifest().resolved_settings(SMOKE, stage="train"))
        scheme = CtScheme(settings, sides[0], sides[1], torch.device("cpu"), architecture=PLANES)
        rng = np.random.default_rng(0)
        labels = np.concatenate([sides[0].labels[scheme.order(rng)] for _ in range(200)])

        assert len(scheme.order(rng)) == 20
        assert abs(labels.mean() - 0.5) < 0.03

    def test_best_epoch(self, trained):
        """
        The weights kept are those of the highest validation AUC, the earlier of equals.
        """
        made = trained(epochs=6)
        best = max(row.validation_auc for row in made.curve)

        assert made.best_epoch.epoch == next(row.epoch for row in made.curve if row.validation_auc == best)
        assert made.best_rule == "highest validation AUC, the earlier of equals"

    def test_adam_is_torchs(self):
        """
        Ten steps of our Adam are ten steps of torch.optim.Adam.
        """
        own, torchs = (torch.nn.Linear(5, 3) for _ in range(2))
        torchs.load_state_dict(own.state_dict())
        ours = Adam(dict(own.named_parameters()), weight_decay=0.05)
        theirs = torch.optim.Adam(torchs.parameters(), lr=0.01, weight_decay=0.05)
        torch.manual_seed(1)
        for _ in range(10):
            inputs = torch.randn(7, 5)
            (own(inputs) ** 2).mean().backward()
            ours.step(0.01)
            theirs.zero_grad()
            (torchs(inputs) ** 2).mean().backward()
            theirs.step()

        torch.testing.assert_close(own.weight, torchs.weight, rtol=1e-5, atol=1e-7)


class TestMixedEnsemble:
    def test_halves(self):
        """
        Of 20 members 0 to 9 are planes and 10 to 19 volumes, each half with folds 0 to 9 of ten.
        """
        settings = TrainingSettings.of(manifest().resolved_settings({"network": BOTH}, stage="train"))
        members = [Member(index, 20) for index in range(20)]

        assert [architecture_of(settings, each) for each in members] == 10 * [PLANES] + 10 * [VOLUME]
        assert [fold_of(settings, each) for each in members] == 2 * [Member(index, 10) for index in range(10)]

    def test_odd(self):
        """
        An odd number has no halves.
        """
        settings = TrainingSettings.of(manifest().resolved_settings({"network": BOTH}, stage="train"))

        with pytest.raises(UserError, match="needs an even number of members, got 3"):
            architecture_of(settings, Member(0, 3))

    def test_one_network_keeps_its_folds(self):
        """
        An ensemble of one network is as it was.
        """
        settings = TrainingSettings.of(manifest().resolved_settings({"network": VOLUME}, stage="train"))

        assert fold_of(settings, Member(3, 10)) == Member(3, 10)

    def test_the_papers_profile(self):
        """
        The profile `paper` is what the paper says of it.
        """
        resolved = manifest().resolved_settings(manifest().profiles["paper"], stage="train")

        assert {
            "network": BOTH,
            "patch_voxels": 64,
            "width": 64,
            "learning_rate": 1e-4,
            "weight_decay": 5e-4,
            "batch_size": 32,
            "augmentation": 1.0,
            "initial_weights": "",
        }.items() <= resolved.items()


class TestInitialWeights:
    def test_own_weights(self, tmp_path, trained):
        """
        weights.npz of an earlier training is taken whole.
        """
        earlier = trained()
        (tmp_path / "weights.npz").write_bytes(array_file_bytes(ArrayFile(earlier.best_weights)))
        network = PlanesResNet50(width=4, dropout=0.2)
        found = start_from(network, tmp_path / "weights.npz")

        assert same(network_arrays(network), earlier.best_weights)
        assert (found.n_taken, found.left_random) == (len(earlier.best_weights), ())

    def test_imagenet(self, tmp_path):
        """
        A file as torchvision's fits: colours are summed, a last layer of 1000 classes stays random.
        """
        torch.manual_seed(0)
        given = ResNet50(n_channels=3, n_outputs=1000, width=4)
        torch.save(given.state_dict(), tmp_path / "resnet50.pth")
        network = PlanesResNet50(width=4, dropout=0)
        before = network.fc.weight.clone()
        found = start_from(network, tmp_path / "resnet50.pth")

        assert found.left_random == ("fc.weight", "fc.bias")
        assert found.summed_over_channels == ("conv1.weight",)
        assert torch.equal(network.fc.weight, before)
        grey = torch.rand(1, 1, 32, 32)
        torch.testing.assert_close(
            network.eval().features(grey),
            given.eval().features(grey.expand(1, 3, 32, 32)),
            rtol=1e-4,
            atol=1e-5,
        )

    def test_kinetics(self, tmp_path):
        """
        A file as I3D's of Kinetics fits.
        """
        given = InceptionI3D(width=4, dropout=0, n_channels=3, n_outputs=400)
        torch.save(given.state_dict(), tmp_path / "rgb_imagenet.pt")
        found = start_from(InceptionI3D(width=4, dropout=0), tmp_path / "rgb_imagenet.pt")

        assert found.left_random == ("logits.conv3d.weight", "logits.conv3d.bias")
        assert found.summed_over_channels == ("Conv3d_1a_7x7.conv3d.weight",)

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (
                lambda: PlanesResNet50(width=8, dropout=0).state_dict(),
                r"conv1\.weight must have shape .4, 1, 7, 7., and has",
            ),
            (
                lambda: InceptionI3D(width=4, dropout=0).state_dict(),
                r"conv1\.weight must have shape .*, and is not there",
            ),
            (lambda: [1, 2], "must hold a dictionary of tensors by name"),
            (lambda: {"fc": print}, "not a readable file of weights"),
        ],
    )
    def test_refusals(self, tmp_path, make, words):
        """
        What does not fit is refused by name, and no file is run.
        """
        torch.save(make(), tmp_path / "given.pt")

        with pytest.raises(UserError, match=f"initial_weights: .*{words}"):
            start_from(PlanesResNet50(width=4, dropout=0), tmp_path / "given.pt")

    def test_not_weights_at_all(self, tmp_path):
        """
        Other files are refused.
        """
        for name in ("a.npz", "a.pt"):
            (tmp_path / name).write_bytes(b"nothing")
            with pytest.raises(UserError, match="initial_weights: "):
                start_from(PlanesResNet50(width=4, dropout=0), tmp_path / name)

    def test_recorded_as_plain_values(self, tmp_path):
        """
        What was started from goes into run.json as it is.
        """
        torch.save(PlanesResNet50(width=4, dropout=0).state_dict(), tmp_path / "base.pt")
        document = dataclasses.asdict(start_from(PlanesResNet50(width=4, dropout=0), tmp_path / "base.pt"))

        assert document["file"] == "base.pt"
        assert len(document["sha256"]) == 64
