"""torch made repeatable, and what it was set to."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch

from reseed.contracts.errors import UserError

THREADS_VARIABLE = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Computation:
    """Everything besides seeds and data that the bits of the weights depend on."""

    device: str
    device_name: str
    n_threads: int
    deterministic_algorithms: bool
    cudnn_benchmark: bool
    cpu_capability: str
    torch: str
    numpy: str
    python: str
    machine: str

    def as_document(self) -> dict[str, str | int | bool]:
        """As run.json carries it."""
        return asdict(self)


def repeatable_computation(environment: Mapping[str, str], *, deterministic: bool = True) -> Computation:
    """
    Make torch deterministic, on the GPU when there is one, with one thread unless told otherwise.

    An operation that has no deterministic form raises from here on. With `deterministic` False a GPU may
    use whichever algorithm is fastest, and a repeated training is another draw; a CPU's is the same.

    Raises
    ------
    UserError
        When OMP_NUM_THREADS is not a positive whole number.
    """
    text = environment.get(THREADS_VARIABLE, "1")
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UserError(
            f"environment variable {THREADS_VARIABLE} must be a whole number from 1, got {text!r}"
        )
    torch.set_num_threads(int(text))
    # the same as torch.use_deterministic_algorithms(True), which loads the compiler: 1.5 s a process
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    torch.backends.cudnn.benchmark = not deterministic
    has_gpu = torch.cuda.is_available()
    return Computation(
        device="cuda" if has_gpu else "cpu",
        device_name=torch.cuda.get_device_name() if has_gpu else platform.processor() or platform.machine(),
        n_threads=torch.get_num_threads(),
        deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__,
        numpy=np.__version__,
        python=platform.python_version(),
        machine=platform.machine(),
    )
