"""Settings: read from an environment, refused in one line that names the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from reseed.service.settings import InvalidSettings, settings_from

SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978"


def _settings(tmp_path: Path, **variables: str):
    return settings_from({"RESEED_SECRET_KEY": SECRET, "RESEED_DATA_DIR": str(tmp_path), **variables})


def test_two_variables_are_enough(tmp_path: Path):
    """SQLite in the data folder, no trusted proxy."""
    settings = _settings(tmp_path)

    assert settings.database_url == f"sqlite:///{tmp_path}/reseed.sqlite3"
    assert settings.trusted_proxies == ()
    assert not settings.is_https


def test_a_secret_is_never_shown(tmp_path: Path):
    """Not by repr, and not in a refusal."""
    assert SECRET not in repr(_settings(tmp_path))
    with pytest.raises(InvalidSettings) as refusal:
        _settings(tmp_path, RESEED_SECRET_KEY="hunter2hunter2")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "RESEED_SECRET_KEY is not set"),
        ("short", "at least 32 characters, got 5"),
        ("changeme-changeme-changeme-0123456789", "default or easily guessed"),
        ("a" * 64, "default or easily guessed"),
    ],
)
def test_default_or_short_secrets_are_refused(tmp_path: Path, secret: str, words: str):
    """The service does not start on them."""
    with pytest.raises(InvalidSettings, match=words):
        _settings(tmp_path, RESEED_SECRET_KEY=secret)


def test_every_mistake_is_a_line_with_the_variable(tmp_path: Path):
    """Several at once."""
    with pytest.raises(InvalidSettings) as refusal:
        _settings(
            tmp_path,
            RESEED_TRUSTED_PROXIES="10.0.0.0/8, moon",
            RESEED_DATABASE_URL="mysql://x",
            RESEED_LEASE_S="soon",
        )
    lines = str(refusal.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "RESEED_DATABASE_URL",
        "RESEED_TRUSTED_PROXIES",
        "RESEED_LEASE_S",
    ]


def test_the_driver_of_postgresql_is_chosen(tmp_path: Path):
    """People write postgresql:// or postgres://."""
    url = _settings(tmp_path, RESEED_DATABASE_URL="postgres://u:p@db/reseed").database_url
    assert url == "postgresql+psycopg://u:p@db/reseed"
