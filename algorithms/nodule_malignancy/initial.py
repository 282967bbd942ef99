"""Weights to start from instead of random ones: our own, torchvision's of ImageNet, I3D's of Kinetics."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from algorithms.common.arrays import read_array_file
from algorithms.common.initial_weights import InitialWeights
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import InvalidDocument, UserError

_HEADS = ("fc.", "logits.", "head.")
_FIRST = ("conv1.weight", "Conv3d_1a_7x7.conv3d.weight", "features.0.weight")


@torch.no_grad()
def start_from(network: nn.Module, path: Path) -> InitialWeights:
    """
    Replace the random weights of a network by those of a file.

    A last layer of another size stays random. A first layer for colours is summed over them, which is
    what it answers to three equal channels. Everything else must fit.

    Parameters
    ----------
    network
        On the CPU.
    path
        weights.npz of an earlier training, or a torch file with a state dictionary; nothing in it is run.

    Raises
    ------
    UserError
        When it holds something else, or does not fit.
    """
    given = _state(path)
    own = network.state_dict()
    taken: list[str] = []
    summed: list[str] = []
    left: list[str] = []
    for name, value in own.items():
        tensor = given.get(name)
        if tensor is not None and name in _FIRST and tensor.shape[1:2] != value.shape[1:2]:
            tensor = tensor.sum(1, keepdim=True)
            summed.append(name)
        if tensor is not None and tensor.numel() == value.numel() == 1:
            tensor = tensor.reshape(value.shape)  # a count may have been stored as an array of one
        if tensor is not None and tensor.shape == value.shape:
            value.copy_(tensor)
            taken.append(name)
        elif name.startswith(_HEADS):
            left.append(name)
        elif not name.endswith("num_batches_tracked"):
            found = "is not there" if tensor is None else f"has shape {tuple(tensor.shape)}"
            raise UserError(
                f"initial_weights: {path.name} does not fit this network: {name} must have shape "
                f"{tuple(value.shape)}, and {found}"
            )
    return InitialWeights(path.name, file_digest(path), len(taken), tuple(summed), tuple(left))


def _state(path: Path) -> Mapping[str, torch.Tensor]:
    if path.suffix == ".npz":
        try:
            arrays = read_array_file(path).arrays
        except InvalidDocument as error:
            raise UserError(f"initial_weights: {error}") from None
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"initial_weights: {path.name}: not a readable file of weights: {reason}") from None
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"initial_weights: {path.name}: must hold a dictionary of tensors by name")
    return {name.removeprefix("module."): value for name, value in state.items()}
