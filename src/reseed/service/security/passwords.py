"""Passwords: argon2id, and a rule about length."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from reseed.contracts.errors import UserError

MINIMUM_CHARACTERS = 12
MAXIMUM_CHARACTERS = 512

# RFC 9106, second recommended option: 64 MiB, three passes.
_HASHER = PasswordHasher(time_cost=3, memory_cost=1 << 16, parallelism=4)
# Of a password that nobody has: a user who is not there takes as long as one who is.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$Pgb+16mPnGuVhR97tV2Cqg$8+R4snIp7TEYI8f/yntNuj0vevnMGhntnFKw8kPQOug"


class WeakPassword(UserError):
    """A password that the service does not take."""


def password_hash(password: str, *, username: str) -> str:
    """
    The argon2id hash to keep.

    Raises
    ------
    WeakPassword
        When it is too short, too long or the user's name.
    """
    if not MINIMUM_CHARACTERS <= len(password) <= MAXIMUM_CHARACTERS:
        raise WeakPassword(
            f"a password needs {MINIMUM_CHARACTERS} to {MAXIMUM_CHARACTERS} characters, got {len(password)}"
        )
    if username.lower() in password.lower() and len(password) < len(username) + MINIMUM_CHARACTERS // 2:
        raise WeakPassword("a password must be more than the user name")
    return _HASHER.hash(password)


def is_password(password: str, kept_hash: str | None) -> bool:
    """Whether it is the password of that hash; takes as long when there is no hash."""
    try:
        return _HASHER.verify(kept_hash or _NOBODY, password[:MAXIMUM_CHARACTERS]) and kept_hash is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


def needs_new_hash(kept_hash: str) -> bool:
    """Whether it was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept_hash)
