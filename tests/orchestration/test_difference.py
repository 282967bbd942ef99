"""What differs between two runs."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.run import RunRecord
from reseed.orchestration.difference import recorded_run, run_differences

SEEDS = {"weights": 1, "order": 2, "augmentation": 3, "dropout": 4, "split": 5}
REPORTED = {"computation": {"device": "cpu", "torch": "2.13.0"}, "loss": [0.5, 0.4]}
MEMBER = {
    "member": 0,
    "job": "1" * 64,
    "seeds": SEEDS,
    "weights": {"weights.npz": "2" * 64},
    "started": datetime(2026, 1, 1, tzinfo=UTC),
    "ended": datetime(2026, 1, 2, tzinfo=UTC),
    "n_attempts": 1,
    "hours": 24.0,
    "gpus": 0,
    "reported": REPORTED,
}
HARDWARE = {"machine": "x86_64", "system": "Linux", "processor": "p", "n_cpus": 2, "memory_gib": 24.0}
RECORD = {
    "study": "s",
    "study_entropy": "7",
    "method": "unet",
    "run": 0,
    "vary": ["weights"],
    "settings": {"epochs": 10, "loss": "ce"},
    "program": {"executor": "process", "algorithm": "nn", "version": "1.0", "digest": "3" * 64},
    "data": {"dataset": "d", "version": "1.0", "digest": "4" * 64},
    "members": [MEMBER],
    "weights_digest": "5" * 64,
    "jobs": {},
    "hours": 24.0,
    "packages": {"numpy": "2.4.6"},
    "hardware": HARDWARE,
}


def _record(**changes: object) -> RunRecord:
    return RunRecord.model_validate({**RECORD, **changes})


def _lines(**changes: object) -> list[str]:
    return [found.line() for found in run_differences(_record(), _record(**changes))]


def test_a_run_does_not_differ_from_itself():
    """Times, durations, names and keys are no differences."""
    later = {
        **MEMBER,
        "started": datetime(2027, 1, 1, tzinfo=UTC),
        "hours": 1.0,
        "n_attempts": 3,
        "job": "9" * 64,
    }

    assert _lines(run=4, method="other", hours=1.0, members=[later], jobs={"a": "9" * 64}) == []


def test_the_most_suspicious_comes_first():
    """Data, then settings, then what the training used, then the machine; seeds and weights last."""
    member = {
        **MEMBER,
        "seeds": {**SEEDS, "weights": 0},
        "weights": {"weights.npz": "6" * 64},
        "reported": {"computation": {"device": "cuda", "torch": "2.13.0"}, "loss": [0.9]},
    }

    lines = _lines(
        members=[member],
        settings={"epochs": 20, "loss": "ce"},
        data={"dataset": "d", "version": "1.1", "digest": "7" * 64},
        hardware={**HARDWARE, "n_cpus": 16},
        packages={"numpy": "2.5.0", "scipy": "1"},
    )

    assert [line.split(": ")[:2] for line in lines] == [
        ["the data", "digest"],
        ["the data", "version"],
        ["a setting", "epochs"],
        ["what the training reported", "member-0.computation.device"],
        ["a package of the orchestrator", "numpy"],
        ["a package of the orchestrator", "scipy"],
        ["the machine", "n_cpus"],
        ["a seed", "member-0.weights"],
        ["the weights", "member-0.weights.npz"],
    ]
    assert lines[2] == "a setting: epochs: 10 | 20"
    assert lines[5] == "a package of the orchestrator: scipy: absent | 1"


def test_what_nobody_set_and_what_it_ran_in():
    """A silent default comes before versions; packages of the training before those of the system."""
    environment = {
        "python": "3.11.2", "operating_system": "Debian 12", "kernel": "6.1", "libc": "glibc 2.36",
        "machine": "x86_64", "processor": "p", "cpu_flags": ["avx2", "avx512f"],
        "variables": {"OMP_NUM_THREADS": "1"}, "packages": {"torch": "2.13.0"},
        "os_packages": {"libc6": "2.36-9", "zlib1g": "1"},
    }  # fmt: skip
    other = {
        **environment,
        "kernel": "6.2",
        "cpu_flags": ["avx2"],
        "packages": {"torch": "2.14.0"},
        "os_packages": {"libc6": "2.36-10", "zlib1g": "1"},
        "variables": {},
    }
    first, second = (
        {**MEMBER, "reported": {**REPORTED, "resolved": {"optimiser": {"parameters": {"betas": betas}}}}}
        for betas in ([0.9, 0.99], [0.9, 0.999])
    )

    found = run_differences(
        _record(members=[first], environment=environment), _record(members=[second], environment=other)
    )

    assert [each.line() for each in found] == [
        "a silent default: member-0.optimiser.parameters.betas: [0.9, 0.99] | [0.9, 0.999]",
        "a package of the training: torch: 2.13.0 | 2.14.0",
        "a variable of the training: OMP_NUM_THREADS: 1 | absent",
        "a package of the operating system: libc6: 2.36-9 | 2.36-10",
        "what the training ran in: cpu_flags.avx512f: yes | absent",
        "what the training ran in: kernel: 6.1 | 6.2",
    ]


def test_a_record_from_before_environments_were_recorded():
    """One line says so, not one for each of a thousand packages."""
    environment = {
        "python": "3.11.2", "operating_system": "Debian 12", "kernel": "6.1", "libc": "glibc 2.36",
        "machine": "x86_64", "processor": "p", "cpu_flags": [], "variables": {},
        "packages": {"torch": "2.13.0", "numpy": "2"}, "os_packages": {},
    }  # fmt: skip

    assert _lines(environment=environment) == ["what the training ran in: recorded: absent | yes"]


def test_a_smaller_ensemble_is_said_as_such():
    """One member less is the ensemble's difference before it is a missing seed."""
    lines = _lines(members=[MEMBER, {**MEMBER, "member": 1}])

    assert lines[0] == "the ensemble: n_members: 1 | 2"


def test_a_folder_without_a_record_is_refused(tmp_path: Path):
    """The message says what to name instead."""
    with pytest.raises(UserError, match=r"no run\.json; name a folder like"):
        recorded_run(tmp_path)


def test_the_command_says_it_and_exits_like_diff(tmp_path: Path):
    """0 when only seeds and weights differ, 1 when a setting does."""
    reseeded = {**MEMBER, "seeds": {**SEEDS, "weights": 0}, "weights": {"weights.npz": "6" * 64}}
    for name, record in (
        ("a", _record()),
        ("b", _record(members=[reseeded])),
        ("c", _record(settings={"epochs": 11, "loss": "ce"})),
    ):
        write_json_atomically(tmp_path / name / "run.json", record)

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "reseed", "diff", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    retrained, changed = typed("a", "b"), typed("a", "c/run.json")

    assert retrained.returncode == 0
    assert retrained.stdout == "0 differences; beside them 1 seeds and 1 files of weights differ\n"
    assert len(typed("a", "b", "--all").stdout.splitlines()) == 3
    assert changed.returncode == 1
    assert changed.stdout.splitlines()[0] == "a setting: epochs: 10 | 11"
