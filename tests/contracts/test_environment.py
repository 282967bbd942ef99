"""What a program runs in."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reseed.contracts.environment import os_packages, processor, program_environment, python_packages

DPKG_STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: half-removed
Status: deinstall ok config-files
Version: 1.0

Package: zlib1g
Version: 1:1.2.13.dfsg-1
Status: install ok installed
"""


def test_python_packages_are_those_of_the_metadata():
    """Names of folders say the same as the metadata that pip reads."""
    expected = {
        re.sub(r"[-_.]+", "-", str(found.metadata["Name"])).lower(): found.version
        for found in importlib.metadata.distributions()
    }

    assert python_packages() == expected


def test_the_first_place_on_the_path_wins(tmp_path: Path):
    """As it does for import."""
    for place, version in (("a", "2.0+cpu"), ("b", "1.0")):
        (tmp_path / place / f"my_package-{version}.dist-info").mkdir(parents=True)

    assert python_packages([str(tmp_path / "a"), str(tmp_path / "b")]) == {"my-package": "2.0+cpu"}


def test_packages_of_debian(tmp_path: Path):
    """Installed ones only, whatever the order of the fields; also where each has a file of its own."""
    (tmp_path / "one/var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "one/var/lib/dpkg/status").write_text(DPKG_STATUS)
    (tmp_path / "two/var/lib/dpkg/status.d").mkdir(parents=True)
    (tmp_path / "two/var/lib/dpkg/status.d/libc6").write_text("Package: libc6\nVersion: 2.36\n")
    (tmp_path / "two/var/lib/dpkg/status.d/zlib1g").write_text("Package: zlib1g\nVersion: 1\n")

    assert os_packages(tmp_path / "one") == {"libc6": "2.36-9+deb12u10", "zlib1g": "1:1.2.13.dfsg-1"}
    assert os_packages(tmp_path / "two") == {"libc6": "2.36", "zlib1g": "1"}


def test_packages_of_alpine(tmp_path: Path):
    """P: and V: lines."""
    (tmp_path / "lib/apk/db").mkdir(parents=True)
    (tmp_path / "lib/apk/db/installed").write_text("C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:zlib\nV:1.3\n")

    assert os_packages(tmp_path) == {"musl": "1.2.5-r0", "zlib": "1.3"}


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="not a Debian")
def test_packages_as_dpkg_lists_them():
    """A second source: dpkg-query."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = (line.split(" ") for line in shown.stdout.splitlines())

    assert os_packages() == {name: version for status, name, version in rows if status == "installed"}


def test_instruction_sets(tmp_path: Path):
    """Those by which libraries choose kernels, sorted, and the name."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor : 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu sse4_2 avx2 avx512f rdrand fma\n"
    )

    assert processor(tmp_path) == ("Some CPU @ 2 GHz", ("avx2", "avx512f", "fma", "sse4_2"))


def test_variables_that_matter():
    """Threads and flags; not where files lie, nor which of several GPUs was given."""
    found = program_environment(
        {
            "OMP_NUM_THREADS": "1",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "NVIDIA_TF32_OVERRIDE": "0",
            "CUDA_VISIBLE_DEVICES": "1",
            "TORCH_HOME": "/home/someone/torch",
            "HOME": "/home/someone",
            "SECRET_TOKEN": "x",
        }
    )

    assert found.variables == {
        "OMP_NUM_THREADS": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "NVIDIA_TF32_OVERRIDE": "0",
    }
    assert found.python.startswith(f"{sys.version_info.major}.")
    assert found.libc
    assert found.operating_system
