"""What a program runs in: interpreter, packages, operating system, processor; and how to look."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field

from reseed.contracts.model import Contract

VARIABLES = re.compile(
    r"(OMP|MKL|OPENBLAS|BLIS|NUMEXPR|KMP|DNNL|ONEDNN|CUBLAS|CUDA|CUDNN|NCCL|NVIDIA|TORCH|PYTORCH|ATEN|ITK)_"
    r"[A-Z0-9_]*|PYTHONHASHSEED|nnUNet_[a-zA-Z]*"
)
"""Environment variables that can change the bits of a result; paths among them are left out."""

_PLACEMENT = ("CUDA_VISIBLE_DEVICES",)
"""Which of several equal devices a program was given: no two runs of a study need to agree on it."""

_NUMERIC_FLAGS = re.compile(
    r"sse4_[12]|ssse3|avx.*|fma|f16c|amx.*|asimd.*|sve.*|fphp|bf16|i8mm"
)  # what libraries choose their kernels by
_DPKG_ENTRY = re.compile(rb"^Package: (.+)$|^Status: (.+)$|^Version: (.+)$|^$", re.MULTILINE)
_APK_ENTRY = re.compile(r"^P:(.+)$|^V:(.+)$", re.MULTILINE)
_DISTRIBUTION = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.dist-info")


class ProgramEnvironment(Contract):
    """The environment of one program, seen from inside it: in a container, the image."""

    python: str = Field(description="Version, implementation and compiler.")
    operating_system: str = Field(description="As /etc/os-release names it.")
    kernel: str
    libc: str
    machine: str
    processor: str
    cpu_flags: tuple[str, ...] = Field(
        description="Instruction sets by which numerical libraries choose their kernels."
    )
    variables: dict[str, str] = Field(description="Environment variables that can change bits.")
    packages: dict[str, str] = Field(description="Version by installed Python distribution.")
    os_packages: dict[str, str] = Field(
        description="Version by package of the operating system; empty where its package manager is unknown."
    )


def program_environment(environment: Mapping[str, str], *, root: Path = Path("/")) -> ProgramEnvironment:
    """
    Look at the program that calls.

    Parameters
    ----------
    environment
        Its environment variables.
    root
        Where the operating system's files are.
    """
    model, flags = processor(root)
    return ProgramEnvironment(
        python=f"{platform.python_version()} {platform.python_implementation()} {platform.python_compiler()}",
        operating_system=_os_release(root),
        kernel=platform.release(),
        libc=_libc(),
        machine=platform.machine(),
        processor=model,
        cpu_flags=flags,
        variables={
            name: value
            for name, value in sorted(environment.items())
            if VARIABLES.fullmatch(name) and name not in _PLACEMENT and "/" not in value
        },
        packages=python_packages(),
        os_packages=os_packages(root),
    )


def python_packages(places: Iterable[str] | None = None) -> dict[str, str]:
    """
    Version by distribution, from the names of their folders: what `pip freeze` lists.

    The first place on the path wins, as it does for import. Read from names because opening the
    metadata of a hundred packages takes a tenth of a second in every training.
    """
    found: dict[str, str] = {}
    for place in sys.path if places is None else places:
        if not Path(place or ".").is_dir():
            continue
        for folder in Path(place or ".").iterdir():
            match = _DISTRIBUTION.fullmatch(folder.name)
            if match:
                found.setdefault(re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"])
    return dict(sorted(found.items()))


def os_packages(root: Path = Path("/")) -> dict[str, str]:
    """Version by package that dpkg, apk or rpm has installed; empty where there is none of them."""
    if (root / "var/lib/dpkg/status").is_file():
        return _dpkg_packages((root / "var/lib/dpkg/status").read_bytes())
    if (root / "var/lib/dpkg/status.d").is_dir():  # images without a shell
        parts = [path.read_bytes() for path in sorted((root / "var/lib/dpkg/status.d").iterdir())]
        return _dpkg_packages(b"\n\n".join(parts))
    if (root / "lib/apk/db/installed").is_file():
        return _apk_packages((root / "lib/apk/db/installed").read_text(encoding="utf-8"))
    if (root / "var/lib/rpm").is_dir():
        return _rpm_packages(root)
    return {}


def processor(root: Path = Path("/")) -> tuple[str, tuple[str, ...]]:
    """The processor's name, as Linux knows it, else as Python does; and its instruction sets."""
    model, flags = "", ""
    try:
        for line in (root / "proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = model or value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = value
                break
    except OSError:
        pass
    chosen = sorted(flag for flag in set(flags.split()) if _NUMERIC_FLAGS.fullmatch(flag))
    return model or platform.processor() or "unknown", tuple(chosen)


def _dpkg_packages(status: bytes) -> dict[str, str]:
    found, name, version, installed = {}, "", "", True
    for match in _DPKG_ENTRY.finditer(status + b"\n\n"):
        if match[1] is not None:
            name = match[1].decode()
        elif match[2] is not None:
            installed = match[2].endswith(b" installed")
        elif match[3] is not None:
            version = match[3].decode()
        else:
            if name and version and installed:
                found[name] = version
            name, version, installed = "", "", True
    return dict(sorted(found.items()))


def _apk_packages(text: str) -> dict[str, str]:
    found, name = {}, ""
    for match in _APK_ENTRY.finditer(text):
        if match[1] is not None:
            name = match[1]
        else:
            found[name] = match[2]
    return dict(sorted(found.items()))


def _rpm_packages(root: Path) -> dict[str, str]:
    try:
        listed = subprocess.run(
            ["rpm", "--root", str(root), "-qa", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\n"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = (line.split(" ", 1) for line in listed.stdout.splitlines() if " " in line)
    return dict(sorted((name, version) for name, version in rows))


def _os_release(root: Path) -> str:
    try:
        text = (root / "etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return platform.system()
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    name = fields.get("PRETTY_NAME", platform.system()).strip("\"'")
    debian = root / "etc/debian_version"
    return f"{name}, {debian.read_text().strip()}" if debian.is_file() else name


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (AttributeError, ValueError, OSError):
        return " ".join(platform.libc_ver()).strip() or "unknown"
