"""Members and seeds from the environment."""

from __future__ import annotations

import pytest

from algorithms.common.member import Member, member_of, seeds_of
from reseed.contracts.errors import UserError
from reseed.contracts.seeds import Seeds

SEEDS = Seeds(weights=0, order=1, augmentation=2, dropout=3, split=4)


def test_seed_zero_is_a_seed():
    """
    Every stream has its own seed, and 0 is one.
    """
    assert seeds_of(SEEDS.environment()) == SEEDS


def test_missing_seed():
    """
    Without a seed a training could not be repeated: refused, with the variable's name.
    """
    environment = SEEDS.environment()
    del environment["RESEED_SEED_DROPOUT"]

    with pytest.raises(UserError, match="RESEED_SEED_DROPOUT is required, and missing"):
        seeds_of(environment)


@pytest.mark.parametrize("text", ["-1", "1.5", "", "seven", str(2**32)])
def test_no_seed(text):
    """
    A seed is a whole number below 2³².
    """
    with pytest.raises(UserError, match="RESEED_SEED_ORDER must be"):
        seeds_of(SEEDS.environment() | {"RESEED_SEED_ORDER": text})


def test_member():
    """
    Members count from 0.
    """
    assert member_of({"RESEED_MEMBER": "0", "RESEED_MEMBERS": "1"}) == Member(0, 1)
    with pytest.raises(UserError, match=r"less than RESEED_MEMBERS .* got 3 and 3"):
        member_of({"RESEED_MEMBER": "3", "RESEED_MEMBERS": "3"})
