"""What a network sees of kept cubes: nine planes or a volume, turned and shifted in training."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import grid_sample

from algorithms.nodule_malignancy.scans import PATCH_MM, Cube

HOUNSFIELD_RANGE = (-1000.0, 400.0)
LARGEST_ANGLE_DEGREES = 20.0
LARGEST_SHIFT_MM = 2.5

_ROOT = math.sqrt(0.5)
PLANE_AXES_ZYX = (
    ((0, 1, 0), (0, 0, 1)),
    ((1, 0, 0), (0, 0, 1)),
    ((1, 0, 0), (0, 1, 0)),
    ((1, 0, 0), (0, _ROOT, _ROOT)),
    ((1, 0, 0), (0, _ROOT, -_ROOT)),
    ((0, 1, 0), (_ROOT, 0, _ROOT)),
    ((0, 1, 0), (_ROOT, 0, -_ROOT)),
    ((0, 0, 1), (_ROOT, _ROOT, 0)),
    ((0, 0, 1), (_ROOT, -_ROOT, 0)),
)
"""Row and column direction of each plane: three orthogonal ones, and the six that halve their angles."""

Array = npt.NDArray[np.float64]


def plane_points(patch_voxels: int) -> Array:
    """Offsets (z, y, x) in voxels from the centre, of shape (9, row, column, 3)."""
    steps = np.arange(patch_voxels) - (patch_voxels - 1) / 2
    rows, columns = np.array(PLANE_AXES_ZYX, dtype=np.float64).transpose(1, 0, 2)
    along_rows = steps[None, :, None, None] * rows[:, None, None, :]
    points: Array = along_rows + steps[None, None, :, None] * columns[:, None, None, :]
    return points


def volume_points(patch_voxels: int) -> Array:
    """Offsets (z, y, x) in voxels from the centre, of shape (z, y, x, 3)."""
    steps = np.arange(patch_voxels) - (patch_voxels - 1) / 2
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)


def drawn_motions(
    n_cases: int, *, strength: float, patch_voxels: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """
    A rotation matrix (case, 3, 3) and a shift (case, 3) in voxels for each case, along z, y, x.

    Angles about the three axes are uniform up to 20 degrees; shifts are uniform in a ball of 2.5 mm.

    Parameters
    ----------
    n_cases
        How many.
    strength
        Chance that a case is moved at all; as many numbers are drawn whatever it is.
    patch_voxels
        Along 50 mm.
    rng
        Of the seed stream `augmentation`.
    """
    is_moved = rng.random(n_cases) < strength
    angles = np.radians(rng.uniform(-LARGEST_ANGLE_DEGREES, LARGEST_ANGLE_DEGREES, (n_cases, 3)))
    directions = rng.normal(size=(n_cases, 3))
    lengths_mm = LARGEST_SHIFT_MM * np.cbrt(rng.random(n_cases))
    shifts_mm = directions / np.linalg.norm(directions, axis=1, keepdims=True) * lengths_mm[:, None]
    angles, shifts_mm = angles * is_moved[:, None], shifts_mm * is_moved[:, None]
    return _rotations(angles), shifts_mm * patch_voxels / PATCH_MM


def sampled(
    cubes: Cube, points: Array, motions: tuple[Array, Array] | None, device: torch.device
) -> torch.Tensor:
    """
    The values of cubes at points, clipped to −1000 to 400 HU and scaled to 0 to 1.

    Parameters
    ----------
    cubes
        Of shape (case, z, y, x), in Hounsfield units.
    points
        Offsets of shape (a, b, c, 3).
    motions
        A rotation and a shift for each case; None for none.
    device
        Where to compute.

    Returns
    -------
    torch.Tensor
        Of shape (case, a, b, c).
    """
    rotations, shifts = motions if motions is not None else (np.eye(3)[None], np.zeros((1, 3)))
    turn = torch.from_numpy(rotations.astype(np.float32)).to(device)
    move = torch.from_numpy(shifts.astype(np.float32)).to(device)
    offsets = torch.from_numpy(points.astype(np.float32)).to(device)
    moved = torch.einsum("nij,abcj->nabci", turn, offsets) + move[:, None, None, None, :]
    half = (cubes.shape[-1] - 1) / 2
    grid = (moved / half).flip(-1).expand(len(cubes), -1, -1, -1, -1)
    values = torch.from_numpy(np.ascontiguousarray(cubes)).to(device).float().unsqueeze(1)
    found = grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=True)
    low, high = HOUNSFIELD_RANGE
    return ((found.squeeze(1) - low) / (high - low)).clamp(0, 1)


def _rotations(angles: Array) -> Array:
    """Rotations about z, then y, then x, of shape (case, 3, 3)."""
    result = np.broadcast_to(np.eye(3), (len(angles), 3, 3)).copy()
    for axis in range(3):
        cosines, sines = np.cos(angles[:, axis]), np.sin(angles[:, axis])
        first, second = [other for other in range(3) if other != axis]
        one = np.broadcast_to(np.eye(3), (len(angles), 3, 3)).copy()
        one[:, first, first] = one[:, second, second] = cosines
        one[:, first, second], one[:, second, first] = -sines, sines
        result = one @ result
    return result
