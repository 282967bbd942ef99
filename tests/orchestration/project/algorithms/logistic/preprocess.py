"""Keep the features that the settings name."""

from __future__ import annotations

import csv

from .common import PATHS, note_done, settings


def main() -> None:
    """Write table.csv."""
    n_features = int(settings()["features"])
    with (PATHS.channel("training") / "training.csv").open() as stream:
        rows = [[row["label"], row["a"], row["b"]][: n_features + 1] for row in csv.DictReader(stream)]
    with (PATHS.output_data / "table.csv").open("w") as stream:
        csv.writer(stream).writerows(rows)
    note_done("preprocess")


if __name__ == "__main__":
    main()
