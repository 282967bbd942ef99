"""Weights by name: out of a network, into one, and from the file that a fine-tuning starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from algorithms.common.arrays import read_array_file
from algorithms.common.initial_weights import InitialWeights
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import UserError

Arrays = dict[str, npt.NDArray[Any]]

_HEADS = ".seg_layers."
"""In the names of the layers that turn features into classes; another task has others."""


def plain_network(network: torch.nn.Module) -> torch.nn.Module:
    """The network behind torch.compile's wrapper, or itself."""
    inner = getattr(network, "_orig_mod", network)
    return inner if isinstance(inner, torch.nn.Module) else network


def network_arrays(network: torch.nn.Module) -> Arrays:
    """
    Parameters and buffers by name, copied.

    nnU-Net's networks reach most layers by several paths; each parameter is taken once, by its first.
    """
    plain = plain_network(network)
    named = [*plain.named_parameters(), *plain.named_buffers()]
    return {name: value.detach().cpu().numpy().copy() for name, value in named}


@torch.no_grad()
def load_arrays(network: torch.nn.Module, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """
    Put parameters and buffers into a network.

    Raises
    ------
    UserError
        When a name is missing or surplus, or a shape differs.
    """
    plain = plain_network(network)
    own = dict([*plain.named_parameters(), *plain.named_buffers()])
    odd = sorted(own.keys() ^ arrays.keys())
    if odd:
        raise UserError(f"weights do not fit the network: {len(odd)} names differ, for instance {odd[0]}")
    for name, value in own.items():
        if tuple(value.shape) != arrays[name].shape:
            raise UserError(
                f"weights do not fit the network: {name} must have shape {tuple(value.shape)}, "
                f"got {arrays[name].shape}"
            )
        value.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))


@torch.no_grad()
def start_from(network: torch.nn.Module, path: Path) -> InitialWeights:
    """
    Replace random weights by those of a file that `train` has written (weights-*.npz).

    As `fitting_arrays`; layers without an array there stay random.

    Raises
    ------
    UserError
        As `fitting_arrays`.
    """
    fitting = fitting_arrays(network, path)
    plain = plain_network(network)
    left = []
    for name, value in [*plain.named_parameters(), *plain.named_buffers()]:
        if name in fitting:
            value.copy_(torch.from_numpy(np.ascontiguousarray(fitting[name])))
        else:
            left.append(name)
    return InitialWeights(path.name, file_digest(path), len(fitting), left_random=tuple(left))


def fitting_arrays(network: torch.nn.Module, path: Path) -> Arrays:
    """
    Of a file that `train` has written (weights-*.npz) what a network can start from, by name.

    Layers that turn features into classes are left out where they have another shape; everything else
    must fit.

    Raises
    ------
    UserError
        When it is no file of weights, or does not fit the network.
    """
    given = read_array_file(path).arrays
    plain = plain_network(network)
    fitting: Arrays = {}
    for name, value in [*plain.named_parameters(), *plain.named_buffers()]:
        array = given.get(name)
        if array is not None and array.shape == tuple(value.shape):
            fitting[name] = array
        elif _HEADS not in name:
            found = "not there" if array is None else f"of shape {array.shape}"
            raise UserError(
                f"initial_weights: {path.name} does not fit: {name} must have shape {tuple(value.shape)}, "
                f"and is {found}"
            )
    return fitting
