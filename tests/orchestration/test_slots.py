"""Slots: as many jobs as there is room for."""

from __future__ import annotations

from pathlib import Path

from reseed.contracts.manifest import Resources
from reseed.orchestration.slots import Slot, Slots, n_nvidia_gpus

ONE_CPU = Resources(cpus=1)


def test_one_job_a_core():
    """Two cores take two single-core jobs, and a third when one has ended."""
    slots = Slots(2)
    first = slots.take(ONE_CPU)
    second = slots.take(ONE_CPU)

    assert first is not None
    assert second is not None
    assert slots.take(ONE_CPU) is None
    slots.give_back(first)
    assert slots.take(ONE_CPU) is not None


def test_a_job_too_big_for_the_machine_gets_all_of_it():
    """Eight cores asked for on a machine of two are two."""
    slots = Slots(2)

    assert slots.take(Resources(cpus=8)) == Slot(2)
    assert slots.take(ONE_CPU) is None


def test_each_gpu_is_given_once():
    """Two GPU jobs get different GPUs; a third waits though there are cores."""
    slots = Slots(8, gpus=(0, 1))
    gpu_job = Resources(gpus=1)

    taken = [slots.take(gpu_job) for _ in range(3)]

    assert [slot and slot.gpus for slot in taken] == [(0,), (1,), None]
    assert slots.take(ONE_CPU) is not None


def test_a_gpu_job_runs_on_a_machine_without():
    """A GPU is used when there is one and not required."""
    assert Slots(1).take(Resources(gpus=1)) == Slot(1, ())


def test_what_already_runs_is_counted():
    """Adopted jobs occupy their slots, also beyond what there is."""
    slots = Slots(1, gpus=(0,))
    slots.occupy(Slot(1, (0,)))
    slots.occupy(Slot(1))

    assert slots.take(ONE_CPU) is None
    slots.give_back(Slot(1, (0,)))
    assert slots.take(ONE_CPU) is None
    slots.give_back(Slot(1))
    assert slots.take(Resources(gpus=1)) == Slot(1, (0,))


def test_gpus_are_counted_from_the_drivers_folder(tmp_path: Path):
    """One folder a GPU; no driver, no GPU."""
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()

    assert n_nvidia_gpus(tmp_path) == 2
    assert n_nvidia_gpus(tmp_path / "absent") == 0
