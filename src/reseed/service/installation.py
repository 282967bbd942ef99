"""One installation: what the web process and the worker have in common, made once at their start."""

from __future__ import annotations

from dataclasses import dataclass

from reseed.service.database.engine import Database
from reseed.service.folders import DataFolder
from reseed.service.security.rates import RequestRate
from reseed.service.settings import ServiceSettings


@dataclass(frozen=True)
class Installation:
    """Settings, database and data folder; `request_rate` is of this process."""

    settings: ServiceSettings
    database: Database
    folder: DataFolder
    request_rate: RequestRate


def installation(settings: ServiceSettings) -> Installation:
    """The installation that the settings describe; nothing is opened or made yet."""
    return Installation(
        settings=settings,
        database=Database(settings.database_url),
        folder=DataFolder(settings.data_dir),
        request_rate=RequestRate(settings.requests_per_minute),
    )
