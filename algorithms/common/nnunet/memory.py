"""Out of memory, said in one line with what to change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from reseed.contracts.errors import UserError

_CPU_WORDS = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory")


@contextlib.contextmanager
def clear_memory_errors(advice: str) -> Iterator[None]:
    """
    Turn the many forms of "out of memory" into one.

    Parameters
    ----------
    advice
        What the person may change, as a half sentence.

    Raises
    ------
    UserError
        In place of an out-of-memory error of torch, on a GPU or not, or of Python.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            where = "the GPU is out of memory"
        elif isinstance(error, MemoryError) or any(word in str(error) for word in _CPU_WORDS):
            where = "out of memory"
        else:
            raise
        asked = " ".join(str(error).split())[:160]
        raise UserError(f"{where}: {advice} ({asked})") from None
