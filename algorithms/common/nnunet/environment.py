"""The variables by which nnU-Net is told where its folders are, for as long as it works there."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

EXTERNAL_TRAINERS = Path(__file__).parent / "trainers"
"""A folder as `nnUNet_extTrainer` names them: `nnUNetv2_train … -tr ReseedTrainer` finds the trainer, too."""


@dataclass(frozen=True)
class Folders:
    """nnU-Net's three folders."""

    raw: Path
    preprocessed: Path
    results: Path


@contextlib.contextmanager
def nnunet_environment(
    folders: Folders, *, log: Path, trains: bool = False, compiled: bool = False
) -> Iterator[None]:
    """
    Set nnU-Net's variables for a block, and put them back afterwards.

    nnU-Net reads them from the environment of the process and offers no other way. What it prints
    and warns of goes to a file, so that stdout stays a log of JSON lines and stderr keeps last words.

    Parameters
    ----------
    folders
        Where raw data, preprocessed data and results are.
    log
        The file that nnU-Net's own words are appended to.
    trains
        Whether batches are to be made in this process, for SeededBatches to hand to workers.
    compiled
        Whether networks go through torch.compile; on a GPU only.
    """
    variables = {
        "nnUNet_raw": str(folders.raw),
        "nnUNet_preprocessed": str(folders.preprocessed),
        "nnUNet_results": str(folders.results),
        "nnUNet_extTrainer": str(EXTERNAL_TRAINERS),
        "nnUNet_compile": "true" if compiled else "false",
        # the planner takes it for its number of threads
        "nnUNet_n_proc_DA": "0" if trains else "1",
        "nnUNet_wandb_enabled": "0",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            log.open("a", encoding="utf-8") as stream,
            contextlib.redirect_stdout(stream),
            _warnings_to(stream),
        ):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _warnings_to(stream: TextIO) -> Iterator[None]:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        (file or stream).write(warnings.formatwarning(message, category, filename, lineno, line))

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield
