"""What the mixed precision of a GPU computes in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@contextlib.contextmanager
def mixed_precision(precision: str) -> Iterator[None]:
    """
    Let nnU-Net's autocast compute in a type for a block; on a CPU it uses none.

    nnU-Net does not say which type it wants, so that torch's default holds, which this is. With float32
    autocast stays on and casts to float32.

    Parameters
    ----------
    precision
        float16, bfloat16 or float32.
    """
    before = torch.get_autocast_dtype("cuda")
    torch.set_autocast_dtype("cuda", _DTYPES[precision])
    try:
        yield
    finally:
        torch.set_autocast_dtype("cuda", before)
