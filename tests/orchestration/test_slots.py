"""Slots: as many jobs as there is room for."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job
from reseed.contracts.manifest import Resources
from reseed.orchestration.slots import (
    Slot,
    Slots,
    n_nvidia_gpus,
    refuse_larger_than_machine,
    usable_memory_gib,
)

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


def test_two_runs_share_a_gpu():
    """With runs_per_gpu 2, four jobs that use one GPU fit on two, the less used first."""
    slots = Slots(8, gpus=(0, 1), runs_per_gpu=2)

    taken = [slots.take(Resources(gpus=1)) for _ in range(5)]

    assert [slot and slot.gpus for slot in taken] == [(0,), (1,), (0,), (1,), None]
    slots.give_back(Slot(1, (0,)))
    assert slots.take(Resources(gpus=1)) == Slot(1, (0,))


def test_a_job_of_several_gpus_shares_none():
    """It waits until so many are free altogether, and then has them for itself."""
    slots = Slots(8, gpus=(0, 1), runs_per_gpu=2)
    first = slots.take(Resources(gpus=1))
    assert first is not None
    assert slots.take(Resources(gpus=2)) is None

    slots.give_back(first)

    both = slots.take(Resources(gpus=2))
    assert both == Slot(1, (0, 1))
    assert slots.take(Resources(gpus=1)) is None
    slots.give_back(both)
    assert slots.take(Resources(gpus=1)) is not None


def test_memory_is_shared_out():
    """Jobs run side by side as long as their memory fits, however many cores are free."""
    slots = Slots(8, memory_gib=10)
    taken = [slots.take(Resources(memory_gib=4)) for _ in range(3)]

    assert [slot is not None for slot in taken] == [True, True, False]
    assert slots.take(Resources(memory_gib=2)) is not None
    assert taken[0] is not None
    slots.give_back(taken[0])
    assert slots.take(Resources(memory_gib=4)) is not None


def test_a_job_larger_than_the_machine_is_refused():
    """In one line that says what it needs, what there is, and what to do; our own programs are let in."""
    fields = {"key": "0" * 64, "role": "unet", "command": "train", "code": "0" * 64, "outputs": ()}
    train = Job(name="train/unet/run-0/member-0", kind="train", resources=Resources(memory_gib=64), **fields)
    compare = Job(name="compare", kind="compare", resources=Resources(memory_gib=64), **fields)

    refuse_larger_than_machine([train, compare], 62.8)
    refuse_larger_than_machine([compare], 8.0)
    with pytest.raises(UserError, match=r"train/unet/run-0/member-0 needs 64 GiB of memory, here are 8\.0"):
        refuse_larger_than_machine([compare, train], 8.0)


def test_usable_memory_is_not_more_than_there_is():
    """The machine's memory, or less where a control group limits it."""
    assert 0 < usable_memory_gib() <= psutil.virtual_memory().total / 2**30
