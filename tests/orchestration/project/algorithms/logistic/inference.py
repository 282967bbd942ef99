"""The mean likelihood over the members, for every case below /input."""

from __future__ import annotations

import json
import math

from reseed.contracts.containers import InferencePaths

from .common import ROOT, note_done, settings

PATHS = InferencePaths(ROOT)


def main() -> None:
    """Predict all cases."""
    n_features = int(settings()["features"])
    members = [json.loads(path.read_text()) for path in sorted(PATHS.model.glob("member-*/weights.json"))]
    for case in sorted(PATHS.input.iterdir()):
        features = [1.0, *json.loads((case / "features.json").read_text())[:n_features]]
        scores = [
            1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, features, strict=True))))
            for weights in members
        ]
        output = PATHS.output / case.name / "output"
        output.mkdir(parents=True)
        (output / "likelihood.json").write_text(json.dumps(sum(scores) / len(scores)))
    note_done("inference")


if __name__ == "__main__":
    main()
