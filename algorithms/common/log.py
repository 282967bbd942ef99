"""Log lines as JSON on stdout; stderr is kept for last words."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from pydantic import JsonValue

_LOGGER = logging.getLogger("algorithms")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        fields: dict[str, JsonValue] = getattr(record, "fields", {})
        return json.dumps({"time": time, "level": record.levelname, "event": record.getMessage(), **fields})


def start_log() -> None:
    """Send the log to stdout; for entry points only."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    _LOGGER.handlers = [handler]
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


def log_event(event: str, **fields: JsonValue) -> None:
    """One event with its numbers; never a patient's id."""
    _LOGGER.info(event, extra={"fields": fields})


def log_warning(event: str, **fields: JsonValue) -> None:
    """As `log_event`, for what a person should look at."""
    _LOGGER.warning(event, extra={"fields": fields})
