"""
The program that makes a large leaderboard in a process of its own, so that no request waits for it.

It reads one JSON object from its standard input: what `request_text` writes. It is started by the web
process, goes on when that ends, and may be started twice: the second finds what the first has made.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

from reseed.service.database.engine import Database
from reseed.service.database.models import Phase
from reseed.service.leaderboard_making import kept_board, made_board, only_maker, plan_of
from reseed.service.leaderboard_rows import entries_of

_NICENESS = 10
_TIMEOUT_S = 3600
_LOG = logging.getLogger(__name__)


def request_text(database_url: str, folder: Path, phase_pk: UUID, metric: str) -> str:
    """What the program has to know; the address may hold a password, so it is no argument."""
    return json.dumps(
        {"database_url": database_url, "folder": str(folder), "phase": str(phase_pk), "metric": metric}
    )


def run_program(request: str) -> bool:
    """Run the program to its end, for up to an hour; whether it has made its leaderboard."""
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            command, input=request, text=True, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        _LOG.error("leaderboard takes too long", extra={"limit_s": _TIMEOUT_S})
        return False
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        _LOG.error("leaderboard not made", extra={"exit_code": done.returncode, "reason": said[-1]})
    return done.returncode == 0


def main() -> None:
    """Make the leaderboard that standard input asks for, unless somebody has made it meanwhile."""
    os.nice(_NICENESS)
    request = json.load(sys.stdin)
    database = Database(request["database_url"])
    try:
        _make(database, Path(request["folder"]), UUID(request["phase"]), request["metric"] or None)
    finally:
        database.close()


def _make(database: Database, folder: Path, phase_pk: UUID, metric: str | None) -> None:
    with database.read() as session:
        path = plan_of(session, session.get_one(Phase, phase_pk), metric, folder).path
    with only_maker(path):
        with database.read() as session:
            plan = plan_of(session, session.get_one(Phase, phase_pk), metric, folder)
            kept = kept_board(path)
            if kept is not None and kept.digest == plan.digest:
                return
            entries = entries_of(session, plan.entrants)
        made_board(plan, entries)


if __name__ == "__main__":
    main()
