"""Gradient descent from seeded weights on a seeded half of the data; checkpoints after every step."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import sys
import time
from typing import Any

from reseed.contracts.files import write_json_atomically

from .common import PATHS, note_done, settings


def main() -> None:
    """Train one member."""
    given = settings()
    seed = int(os.environ["RESEED_SEED_WEIGHTS"])
    _crash(given, seed)
    with (PATHS.channel("preprocessed") / "table.csv").open() as stream:
        rows = [[float(value) for value in row] for row in csv.reader(stream)]
    rows = random.Random(int(os.environ["RESEED_SEED_ORDER"])).sample(rows, len(rows) // 2)
    checkpoint = PATHS.checkpoints / "state.json"
    start = random.Random(seed)
    state: dict[str, Any] = {"step": 0, "weights": [start.gauss(0, 1) for _ in rows[0]]}
    if checkpoint.is_file():
        state = json.loads(checkpoint.read_text())
        sys.stdout.write(f"resumed at step {state['step']}\n")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for step in range(state["step"], int(given["n_steps"])):
        state = {"step": step + 1, "weights": _stepped(state["weights"], rows, float(given["learning_rate"]))}
        write_json_atomically(checkpoint, state)
        time.sleep(float(given["step_s"]))
    write_json_atomically(PATHS.model / "weights.json", state["weights"])
    write_json_atomically(PATHS.model / "run.json", {"settings": given})
    note_done("train")


def _stepped(weights: list[float], rows: list[list[float]], rate: float) -> list[float]:
    gradient = [0.0] * len(weights)
    for label, *features in rows:
        values = [1.0, *features]
        error = label - 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, values, strict=True))))
        gradient = [g + error * v for g, v in zip(gradient, values, strict=True)]
    return [w + rate * g / len(rows) for w, g in zip(weights, gradient, strict=True)]


def _crash(given: dict[str, str], seed: int) -> None:
    if int(given["unlucky_run"]) == seed % 1000 or given["crash"] == "fail":
        sys.stdout.write("about to fail\n")
        PATHS.failure.write_text("the gradient is not finite\n")
        sys.exit(1)
    match given["crash"]:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            sys.stdout.write(str(len(bytearray(2**30))))
        case "link":
            (PATHS.model / "escape").symlink_to("/etc/passwd")


if __name__ == "__main__":
    main()
