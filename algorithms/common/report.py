"""
What a training reports of itself in run.json: its surroundings, and what nobody set.

`python -m algorithms.common.report` prints what a training would find here: the environment, and what
torch computes with.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from reseed.contracts.environment import program_environment
from reseed.contracts.training_report import COMPUTATION, ENVIRONMENT, RESOLVED, ResolvedTraining


def training_report(
    resolved: ResolvedTraining, computation: Mapping[str, JsonValue], environment: Mapping[str, str]
) -> dict[str, Any]:
    """
    The keys `computation`, `environment` and `resolved` of run.json; the same for a repeated training.

    Parameters
    ----------
    resolved
        Every choice that code or a library made, as it was: read it off the objects that trained.
    computation
        Device, versions and flags.
    environment
        Environment variables.
    """
    return {
        COMPUTATION: dict(computation),
        ENVIRONMENT: program_environment(environment).model_dump(mode="json"),
        RESOLVED: resolved.model_dump(mode="json"),
    }


def main() -> None:
    """Print `computation` and `environment` as JSON."""
    from algorithms.common.determinism import repeatable_computation  # noqa: PLC0415 (needs torch)
    from algorithms.common.torch_report import torch_report  # noqa: PLC0415 (needs torch)

    computation = {**repeatable_computation(os.environ).as_document(), **torch_report()}
    found = {
        COMPUTATION: computation,
        ENVIRONMENT: program_environment(os.environ).model_dump(mode="json"),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
