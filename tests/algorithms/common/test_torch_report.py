"""What torch computes with."""

from __future__ import annotations

import pytest
import torch

from algorithms.common.torch_report import build_parts, cublas_version, driver_version, torch_report

DRIVERS = {
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
    "GCC version:  gcc version 12.2.0\n": "535.104.05",
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder)\n":
        "570.86.15",
    "something else\n": "unknown",
}  # fmt: skip


def test_a_report_without_a_gpu():
    """Nothing of CUDA, all that a CPU's bits depend on; two reports are equal."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")

    found = torch_report()

    assert (found["driver"], found["cudnn"], found["cublas"], found["gpus"]) == (None, None, None, [])
    assert found["default_dtype"] == "float32"
    assert found["onednn_enabled"] is True
    assert str(found["numpy_blas"]).split(" ")[1]
    assert found == torch_report()


def test_flags_are_those_in_force():
    """What a program has set is what is reported."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        found = torch_report(autocast="bfloat16")
    finally:
        torch.set_float32_matmul_precision(before)

    assert found["float32_matmul_precision"] == "high"
    assert found["autocast"] == "bfloat16"
    assert torch_report()["float32_matmul_precision"] == before


@pytest.mark.parametrize(("text", "version"), DRIVERS.items())
def test_driver(tmp_path, text, version):
    """The kernel module's version, as the closed and the open one write it; None without a driver."""
    (tmp_path / "version").write_text(text)

    assert driver_version(tmp_path / "version") == version
    assert driver_version(tmp_path / "absent") is None


def test_cublas_that_is_not_there():
    """None on a build of torch without CUDA."""
    if torch.version.cuda is None:
        assert cublas_version() is None


def test_build():
    """From torch's own words; what a build lacks is None."""
    assert build_parts("... BLAS_INFO=open, ...") == {
        "mkl": None, "onednn": None, "openmp": None, "blas": "open",
    }  # fmt: skip
    assert build_parts(torch.__config__.show())["openmp"] is not None
