"""ResNet-50 over planes and I3D, against what is published of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import max_pool2d, max_pool3d

from algorithms.nodule_malignancy.inception import InceptionI3D, max_pooled, same_padding
from algorithms.nodule_malignancy.pooling import window_maximum
from algorithms.nodule_malignancy.resnet import PlanesResNet50, ResNet50


def n_parameters(network):
    return sum(value.numel() for value in network.parameters())


class TestResNet50:
    def test_is_torchvisions(self):
        """
        With three channels and 1000 classes it has the 25 557 032 parameters that torchvision documents.
        """
        assert n_parameters(ResNet50(n_channels=3, n_outputs=1000, width=64)) == 25_557_032

    def test_one_channel_and_class(self):
        """
        One channel has two thirds of the first convolution less, one class 999 rows and biases less.
        """
        difference = 2 * 64 * 7 * 7 + 999 * (2048 + 1)

        assert n_parameters(PlanesResNet50(width=64, dropout=0)) == 25_557_032 - difference

    def test_parameters_are_named_as_torchvisions(self):
        """
        Files of ImageNet weights fit by name.
        """
        names = set(ResNet50(n_channels=3, n_outputs=1000, width=64).state_dict())

        assert len(names) == 320
        assert {
            "conv1.weight",
            "bn1.running_var",
            "layer1.0.downsample.0.weight",
            "layer3.5.conv2.weight",
            "layer4.2.bn3.num_batches_tracked",
            "fc.bias",
        } <= names

    def test_grids(self):
        """
        An image of 64 pixels ends on 2 × 2, of which features are the mean.
        """
        network = ResNet50(n_channels=1, n_outputs=2, width=4)
        shapes = []
        network.get_submodule("layer4").register_forward_hook(lambda *call: shapes.append(call[2].shape))

        assert network(torch.zeros(3, 1, 64, 64)).shape == (3, 2)
        assert shapes == [(3, 128, 2, 2)]

    def test_planes_in_any_order(self):
        """
        All planes go through the same weights and are averaged, so that their order does not matter.
        """
        torch.manual_seed(0)
        network = PlanesResNet50(width=4, dropout=0.5).eval()
        patches = torch.rand(2, 9, 32, 32)

        torch.testing.assert_close(network(patches), network(patches.flip(1)))


class TestInceptionI3D:
    def test_is_the_published_one(self):
        """
        With three channels and 400 classes it has the 12 697 264 parameters of I3D for Kinetics.
        """
        network = InceptionI3D(width=64, dropout=0.5, n_channels=3, n_outputs=400)

        assert n_parameters(network) == 12_697_264

    def test_parameters_are_named_as_those_of_kinetics(self):
        """
        Files of Kinetics weights fit by name.
        """
        names = set(InceptionI3D(width=4, dropout=0).state_dict())

        assert {
            "Conv3d_1a_7x7.conv3d.weight",
            "Conv3d_2c_3x3.bn.running_mean",
            "Mixed_4f.b2b.conv3d.weight",
            "Mixed_5c.b3b.bn.bias",
            "logits.conv3d.bias",
        } <= names

    @pytest.mark.parametrize(("side", "grid"), [(64, (8, 2, 2)), (32, (4, 1, 1)), (17, (3, 1, 1))])
    def test_grids(self, side, grid):
        """
        The first two poolings are planar, so that the grid is finer along z; odd sizes round up.
        """
        network = InceptionI3D(width=4, dropout=0).eval()

        assert network.features(torch.zeros(1, 1, side, side, side)).shape[2:] == grid
        assert network(torch.zeros(2, side, side, side)).shape == (2,)

    @pytest.mark.parametrize(
        ("size", "kernel", "stride", "expected"),
        [(64, 7, 2, (2, 3)), (63, 7, 2, (3, 3)), (8, 3, 1, (1, 1)), (8, 3, 2, (0, 1)), (8, 2, 2, (0, 0))],
    )
    def test_same_padding(self, size, kernel, stride, expected):
        """
        As TensorFlow pads: what is odd goes behind, and the output has size / stride, rounded up.
        """
        before, after = same_padding(size, kernel, stride)

        assert (before, after) == expected
        assert (size + before + after - kernel) // stride + 1 == math.ceil(size / stride)


class TestPooling:
    def test_as_torch(self):
        """
        Values are torch's own.
        """
        planes, volumes = torch.randn(2, 3, 13, 12), torch.randn(2, 3, 8, 9, 10)

        own = window_maximum(planes, (3, 3), (2, 2), ((1, 1), (1, 1)), fill=-math.inf)
        assert torch.equal(own, max_pool2d(planes, 3, stride=2, padding=1))
        positive = volumes.abs()
        assert torch.equal(max_pooled(positive, (3, 3, 3), (1, 1, 1)), max_pool3d(positive, 3, 1, 1))

    def test_gradient_goes_to_the_largest(self):
        """
        Where nothing ties, the gradient is torch's own.
        """
        values = torch.randn(1, 2, 9, 9, dtype=torch.float64)
        gradients = []
        for pool in (
            lambda each: window_maximum(each, (3, 3), (2, 2), ((1, 1), (1, 1)), fill=-math.inf),
            lambda each: max_pool2d(each, 3, stride=2, padding=1),
        ):
            leaf = values.clone().requires_grad_()
            (pool(leaf) ** 2).sum().backward()
            gradients.append(leaf.grad)

        torch.testing.assert_close(*gradients)
