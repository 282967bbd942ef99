"""The Docker engine that tests run against: a real one, or none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import docker
import docker.errors
import pytest

REPOSITORY = Path(__file__).parents[1]
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def connected_engine() -> docker.DockerClient:
    """A client of the engine; without one, tests are skipped, and fail in CI."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Docker engine: {error}")
    return client


def build_image(context: Path, *, target: str, tag: str, algorithm: str | None = None) -> None:
    """Build a target of the Dockerfile in a context, as the README does."""
    command = ["docker", "build", "--quiet", "--network", "host", "--target", target, "--tag", tag]
    if CA_BUNDLE.is_file():
        command += ["--secret", f"id=ca,src={CA_BUNDLE}"]
    if any((REPOSITORY / "wheelhouse").glob("*.whl")):
        command += ["--build-context", f"wheelhouse={REPOSITORY / 'wheelhouse'}"]
    if algorithm is not None:
        command += ["--build-arg", f"ALGORITHM={algorithm}"]
    built = subprocess.run(
        [*command, str(context)], capture_output=True, text=True, timeout=1200, check=False
    )
    assert built.returncode == 0, built.stderr[-4000:]
