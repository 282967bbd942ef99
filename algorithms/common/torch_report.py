"""What torch computes with: versions of every library below it, and the flags that choose kernels."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")

_DRIVER = re.compile(r"NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s")
_BUILD_PARTS = {
    "mkl": re.compile(r"Math Kernel Library Version (\S+)"),
    "onednn": re.compile(r"MKL-DNN v(\S+)"),
    "openmp": re.compile(r"OpenMP (\d+)"),
    "blas": re.compile(r"BLAS_INFO=(\w+)"),
}
_LIBRARY_PROPERTIES = (0, 1, 2)  # libraryPropertyType of CUDA: major, minor, patch


def torch_report(*, autocast: str | None = None) -> dict[str, JsonValue]:
    """
    Versions and flags for `computation` in run.json; None for what this build of torch does not have.

    Parameters
    ----------
    autocast
        The type that the training loop let torch compute in, for instance "float16" or "bfloat16";
        None when it used no autocast. Only the loop knows: outside it the flag is off.
    """
    has_gpu = torch.cuda.is_available()
    return {
        "cuda": torch.version.cuda,
        "rocm": torch.version.hip,
        "driver": driver_version(),
        "cudnn": torch.backends.cudnn.version() if has_gpu else None,  # type: ignore[no-untyped-call]
        "cublas": cublas_version() if has_gpu else None,
        "nccl": _nccl_version(),
        "gpus": [_gpu(index) for index in range(torch.cuda.device_count())] if has_gpu else [],
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "tf32_matmul": _flag(torch.backends.cuda.matmul),
        "tf32_cudnn": _flag(torch.backends.cudnn),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "autocast": autocast,
        "onednn_enabled": bool(torch.backends.mkldnn.enabled),
        "n_interop_threads": torch.get_num_interop_threads(),
        **build_parts(torch.__config__.show()),
        **_numpy_parts(),
    }


def build_parts(text: str) -> dict[str, JsonValue]:
    """Versions of BLAS, MKL, oneDNN and OpenMP from what torch prints of its build; None where absent."""
    found = {name: pattern.search(text) for name, pattern in _BUILD_PARTS.items()}
    return {name: match[1] if match else None for name, match in found.items()}


def driver_version(path: Path = NVIDIA_DRIVER) -> str | None:
    """Version of the NVIDIA kernel driver; None where there is none."""
    if not path.is_file():
        return None
    match = _DRIVER.search(path.read_text())
    return match[1] if match else "unknown"


def cublas_version() -> str | None:
    """
    Version of the cuBLAS library that is loaded, by `cublasGetProperty`; None where it cannot be asked.

    Source: cuBLAS library documentation, section cublasGetProperty().
    """
    major = (torch.version.cuda or "").partition(".")[0]
    try:
        ask = ctypes.CDLL(f"libcublas.so.{major}").cublasGetProperty
    except (OSError, AttributeError):
        return None
    value = ctypes.c_int()
    numbers = []
    for part in _LIBRARY_PROPERTIES:
        if ask(part, ctypes.byref(value)) != 0:
            return None
        numbers.append(str(value.value))
    return ".".join(numbers)


def _nccl_version() -> str | None:
    if torch.version.cuda is None or not torch.distributed.is_available():
        return None
    if not torch.distributed.is_nccl_available():
        return None
    version = torch.cuda.nccl.version()  # type: ignore[no-untyped-call]
    return ".".join(str(number) for number in version)


def _gpu(index: int) -> JsonValue:
    found = torch.cuda.get_device_properties(index)
    return {
        "name": found.name,
        "compute_capability": f"{found.major}.{found.minor}",
        "memory_gib": round(found.total_memory / 2**30, 1),
        "multiprocessors": found.multi_processor_count,
    }


def _flag(backend: Any) -> JsonValue:
    """Whether TF32 is allowed; where a program used torch's newer setting, what that says."""
    try:
        return bool(backend.allow_tf32)
    except RuntimeError:
        return str(backend.fp32_precision)


def _numpy_parts() -> dict[str, JsonValue]:
    config = np.show_config(mode="dicts") or {}
    blas = config.get("Build Dependencies", {}).get("blas", {})
    simd = config.get("SIMD Extensions", {}).get("found", [])
    return {
        "numpy_blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "numpy_simd": list(simd),
    }
