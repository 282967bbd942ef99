"""Which model of which ensemble a training makes, and from which seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from reseed.contracts.containers import MEMBER_VARIABLE, MEMBERS_VARIABLE
from reseed.contracts.errors import UserError
from reseed.contracts.seeds import Seeds, SeedStream, seed_variable


@dataclass(frozen=True)
class Member:
    """One model of an ensemble: the `index`-th of `n_members`."""

    index: int
    n_members: int


def member_of(environment: Mapping[str, str]) -> Member:
    """
    The ensemble member that RESEED_MEMBER and RESEED_MEMBERS name.

    Raises
    ------
    UserError
        When one is missing or not a whole number, or there is no such member.
    """
    index = _whole_number(environment, MEMBER_VARIABLE)
    n_members = _whole_number(environment, MEMBERS_VARIABLE)
    if index >= n_members:
        raise UserError(
            f"{MEMBER_VARIABLE} must be less than {MEMBERS_VARIABLE} (members count from 0), "
            f"got {index} and {n_members}"
        )
    return Member(index, n_members)


def seeds_of(environment: Mapping[str, str]) -> Seeds:
    """
    The seed of every stream, from RESEED_SEED_WEIGHTS and so on.

    Raises
    ------
    UserError
        When one is missing or not a seed: a training without its seed could not be repeated.
    """
    given = {stream.value: _whole_number(environment, seed_variable(stream)) for stream in SeedStream}
    try:
        return Seeds.model_validate(given)
    except ValidationError as error:
        stream = SeedStream(str(error.errors()[0]["loc"][0]))
        variable = seed_variable(stream)
        raise UserError(f"{variable} must be at most {2**32 - 1}, got {given[stream.value]}") from None


def _whole_number(environment: Mapping[str, str], variable: str) -> int:
    text = environment.get(variable)
    if text is None:
        raise UserError(f"environment variable {variable} is required, and missing")
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"environment variable {variable} must be a whole number from 0, got {text!r}")
    return int(text)
