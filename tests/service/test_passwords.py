"""Passwords: argon2id, no difference between a wrong one and nobody's."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from reseed.service.security import passwords
from reseed.service.security.passwords import WeakPassword, is_password, needs_new_hash, password_hash


def test_only_the_password_fits_its_hash():
    """And the hash is argon2id."""
    kept = password_hash("correct horse battery", username="ada")
    assert kept.startswith("$argon2id$")
    assert is_password("correct horse battery", kept)
    assert not is_password("correct horse batterz", kept)
    assert not needs_new_hash(kept)


def test_a_user_who_is_not_there_costs_the_same_work():
    """The hash that is compared then is a real one, with today's parameters."""
    assert not is_password("anything at all", None)
    assert not needs_new_hash(passwords._NOBODY)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(passwords._NOBODY, "anything at all")


@pytest.mark.parametrize("password", ["short", "x" * 513, "ada-lovelace"])
def test_weak_passwords_are_refused(password: str):
    """Too short, too long, the user's name."""
    with pytest.raises(WeakPassword):
        password_hash(password, username="ada-lovelace")
