"""
The exceptions of Reseed.

ReseedError
├── UserError             shown to the person as one line: it is about what they gave us
│   ├── InvalidDocument   a study, task, manifest or settings file
│   ├── InvalidTable      a score table
│   ├── InvalidPrediction a prediction that is missing, unreadable or out of range
│   ├── InvalidDataset    a dataset folder that is not what its manifest says
│   └── JobFailed         a job of a study ended without its result
└── InfrastructureError   the machine, the engine or the network: retried, then reported
    ├── EngineSilent      nobody answers: waited for
    └── NoSpaceLeft       a disk is full: waited for
"""

from __future__ import annotations


class ReseedError(Exception):
    """Anything Reseed raises on purpose."""


class UserError(ReseedError):
    """Shown to the person who typed the command, in one line, without a traceback."""


class InvalidDocument(UserError):
    """
    A YAML or JSON document breaks its contract.

    Parameters
    ----------
    lines
        One complete line per mistake, each with its place in the file.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class InvalidTable(UserError):
    """A score table breaks the rules of a comparison."""


class InvalidPrediction(UserError):
    """A prediction is missing, unreadable or out of range."""

    def __init__(self, message: str, *, case_id: str) -> None:
        super().__init__(f"case {case_id!r}: {message}")
        self.case_id = case_id


class InvalidDataset(UserError):
    """A dataset folder is not what its manifest says."""


class JobFailed(UserError):
    """A job of a study ended without its result."""


class RefusedOutput(JobFailed):
    """
    What a program left behind is not taken.

    Parameters
    ----------
    what
        The output, or the place in it, whose name the program chose.
    rule
        What it breaks; names nothing that the program chose.
    """

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(f"{what}: {rule}")
        self.rule = rule


class InfrastructureError(ReseedError):
    """The machine, the container engine or the network failed, not the person."""


class EngineSilent(InfrastructureError):
    """The engine does not answer; whether it has done what it was asked is not known."""


class NoSpaceLeft(InfrastructureError):
    """A disk is full, or a quota used up."""
