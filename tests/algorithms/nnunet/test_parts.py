"""The parts of the nnU-Net code by themselves."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from algorithms.common.arrays import ArrayFile, array_file_bytes
from algorithms.common.nnunet.best import BestEpoch, PatchDetections, lesion_values
from algorithms.common.nnunet.losses import VoxelCrossEntropy
from algorithms.common.nnunet.memory import clear_memory_errors
from algorithms.common.nnunet.network_grid import NetworkGrid
from algorithms.common.nnunet.randomness import global_generators, seed_of_place
from algorithms.common.nnunet.settings import sizes
from algorithms.common.nnunet.weights import load_arrays, network_arrays, start_from
from algorithms.common.validation import average_precision
from reseed.contracts.errors import UserError


class TestLosses:
    @pytest.fixture
    def batch(self):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn((2, 3, 4, 5, 6), generator=generator)
        target = torch.randint(0, 3, (2, 1, 4, 5, 6), generator=generator)
        return logits.requires_grad_(), target

    def test_cross_entropy_is_torchs(self, batch):
        """
        Value and gradient are those of torch's own, which a GPU computes in no fixed order.
        """
        logits, target = batch
        own = VoxelCrossEntropy()(logits, target)
        (gradient,) = torch.autograd.grad(own, logits)
        expected = torch.nn.functional.cross_entropy(logits, target[:, 0])
        (expected_gradient,) = torch.autograd.grad(expected, logits)

        assert own.item() == pytest.approx(expected.item(), rel=1e-6)
        assert torch.allclose(gradient, expected_gradient, atol=1e-7)

    def test_ignored_voxels(self, batch):
        """
        Voxels of the ignored label count neither above nor below the line.
        """
        logits, target = batch
        marked = torch.where(target == 2, 3, target)

        own = VoxelCrossEntropy(ignore_label=3)(logits, marked)

        expected = torch.nn.functional.cross_entropy(logits, marked[:, 0], ignore_index=3)
        assert own.item() == pytest.approx(expected.item(), rel=1e-6)

    def test_focal_by_hand(self):
        """
        p = 1/2 of the right class: half of ln 2 / 4 and half of ln 2.
        """
        loss = VoxelCrossEntropy(focal_part=0.5)(torch.zeros((1, 2, 1, 1)), torch.zeros((1, 1, 1, 1)))

        assert loss.item() == pytest.approx(math.log(2) * (0.25 + 1) / 2)


class TestRandomness:
    def test_places_differ(self):
        """
        Neighbouring places and seeds have unrelated seeds, seed 0 among them.
        """
        seeds = {seed_of_place(seed, *place) for seed in (0, 1) for place in ((0,), (1,), (0, 0), (0, 1))}

        assert len(seeds) == 8

    def test_generators_are_put_back(self):
        """
        Inside, all three generators follow from the seed; outside, nothing has happened.
        """

        def draws():
            return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002

        with global_generators(3):
            expected = draws()
            with global_generators(5):
                draws()
            following = draws()
        state = torch.get_rng_state(), random.getstate()
        with global_generators(3):
            assert draws() == expected
            assert draws() == following
        assert torch.equal(torch.get_rng_state(), state[0])
        assert random.getstate() == state[1]


class TestBestEpoch:
    def test_smoothed_and_earlier_of_equals(self):
        """
        Scores are smoothed as nnU-Net does; an undefined one changes nothing once there was another.
        """
        network = torch.nn.Linear(1, 1)
        best = BestEpoch()
        epochs = []
        for epoch, score in enumerate([math.nan, 0.5, 0.5, math.nan, 0.9, 0.1]):
            best.add(epoch, score, network)
            epochs.append(best.epoch)

        assert epochs == [0, 1, 1, 1, 4, 4]
        assert best.highest == pytest.approx(0.54)

    def test_detections(self):
        """
        A patch with a lesion voxel is positive, and its score is the highest probability of a lesion.
        """
        judged = PatchDetections([1])
        network = torch.nn.Identity().eval()
        logits = torch.zeros((3, 2, 2, 2))
        logits[:, 1, 0, 0] = torch.tensor([3.0, 2.0, 1.0])
        target = torch.zeros((3, 1, 2, 2))
        target[0, 0, 1, 1] = target[2, 0, 1, 1] = 1
        judged.remember(network, None, [logits])
        judged.add([target])

        assert judged.score() == pytest.approx((1 / 2 + (1 + 2 / 3) / 2) / 2)
        assert math.isnan(judged.score())

    def test_several_lesion_labels(self):
        """
        Two labels that are lesions count as one.
        """
        judged = PatchDetections([1, 3])
        logits = torch.zeros((2, 4, 2, 2))
        logits[0, 2], logits[1, 3] = 3.0, 3.0
        target = torch.full((2, 1, 2, 2), 2)
        target[1, 0, 0, 0] = 3
        judged.remember(torch.nn.Identity().eval(), None, logits)
        judged.add(target)

        assert judged.score() == 1


def test_lesions_by_name():
    """
    Whichever of the names a dataset has, and whatever its values.
    """
    assert lesion_values({"background": 0, "pancreas": 1, "cancer": 2}) == [2]
    assert lesion_values({"background": 0, "tumor": 1, "lesion": 3, "veins": 2}) == [1, 3]
    assert lesion_values({"background": 0, "anterior": 1}) == []


def test_average_precision_against_scikit_learn():
    """
    With ties; scikit-learn is the second source.
    """
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 9, 60) / 8

    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


class TestNetworkGrid:
    def test_same_grid_is_left_alone(self):
        """
        A network at the image's resolution gives its values back, transposed and in their place.
        """
        values = np.random.default_rng(0).random((1, 3, 4, 5)).astype(np.float32)
        grid = NetworkGrid((3, 4, 5), ((1, 4), (0, 4), (2, 7)), (4, 4, 8), (2, 0, 1))

        found = grid.on_image(values, lambda block: block[0], np.dtype(np.float32))

        assert found.shape == (4, 8, 4)
        assert np.array_equal(found.transpose(2, 0, 1)[1:4, 0:4, 2:7], values[0])
        assert found.sum() == pytest.approx(values.sum())

    def test_against_scipy(self, monkeypatch):
        """
        Linear interpolation of boxes that fill the same space, as scipy's zoom has it; in blocks of one
        slice as in one block.
        """
        from scipy import ndimage

        values = np.random.default_rng(1).random((2, 4, 5, 6)).astype(np.float32)
        grid = NetworkGrid((4, 5, 6), ((0, 9), (0, 8), (0, 13)), (9, 8, 13), (0, 1, 2))

        found = grid.on_image(values, lambda block: block[1], np.dtype(np.float32))
        monkeypatch.setattr("algorithms.common.nnunet.network_grid._BLOCK_VALUES", 1)
        in_slices = grid.on_image(values, lambda block: block[1], np.dtype(np.float32))

        zoom = np.array((9, 8, 13)) / values.shape[1:]
        expected = ndimage.zoom(values[1], zoom, order=1, mode="nearest", grid_mode=True)
        assert np.allclose(found, expected, atol=1e-5)
        assert np.allclose(found, in_slices, atol=1e-6)


class TestInitialWeights:
    def write(self, path, network):
        path.write_bytes(array_file_bytes(ArrayFile(network_arrays(network))))
        return path

    def test_round_trip(self, tmp_path):
        """
        Weights that fit are taken, every one.
        """
        source, target = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)

        taken = start_from(target, self.write(tmp_path / "w.npz", source))

        assert torch.equal(source.weight, target.weight)
        assert (taken.n_taken, taken.left_random) == (2, ())

    @pytest.mark.parametrize(
        ("made", "message"),
        [
            (lambda path: path.write_bytes(b"PK") and path, "not a readable array file"),
            (
                lambda path: TestInitialWeights().write(path, torch.nn.Linear(4, 2)),
                r"weight must have shape \(2, 3\), and is of shape \(2, 4\)",
            ),
        ],
    )
    def test_refused(self, tmp_path, made, message):
        """
        A file that is none of weights or does not fit is named, with what does not.
        """
        with pytest.raises(UserError, match=message):
            start_from(torch.nn.Linear(3, 2), made(tmp_path / "w.npz"))

    def test_loading_names_the_difference(self):
        """
        Weights of another network are refused.
        """
        with pytest.raises(UserError, match="weights do not fit the network: 2 names differ"):
            load_arrays(
                torch.nn.Linear(3, 2),
                {"weight": np.zeros((2, 3)), "scale": np.zeros(1), "bias": np.zeros(2), "shift": np.zeros(1)},
            )


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            MemoryError(),
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        ],
    )
    def test_said_in_one_line(self, error):
        """
        Whoever ran out of memory, the message says what to change.
        """
        with (
            pytest.raises(UserError, match="out of memory: lower batch_size"),
            clear_memory_errors("lower batch_size"),
        ):
            raise error

    def test_other_errors_pass(self):
        """
        What is no lack of memory stays what it is.
        """
        with pytest.raises(RuntimeError, match="shapes"), clear_memory_errors("x"):
            raise RuntimeError("shapes do not match")


@pytest.mark.parametrize("text", ["a", "1", "1x2x3x4", "0x1x1", "1x-2"])
def test_sizes_refuses(text):
    """
    Anything but two or three positive numbers is named.
    """
    with pytest.raises(UserError, match="setting 'patch' must be two or three positive numbers"):
        sizes(text, name="patch")
