"""run.json of every member of a run, checked before anything is predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reseed.contracts.containers import member_folder
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import UserError

RUN = "run.json"


def read_member_records(model: Path) -> list[dict[str, Any]]:
    """
    run.json of member-0, member-1 and so on.

    Parameters
    ----------
    model
        /opt/ml/model.

    Raises
    ------
    UserError
        When there is no member, one is missing, or a file is not the one whose digest run.json has.
    """
    n_members = len(list(model.glob(member_folder(0).replace("0", "*"))))
    if n_members == 0:
        raise UserError(f"{model} must hold the members of a run ({member_folder(0)} and so on), got none")
    records = [_checked_record(model / member_folder(index)) for index in range(n_members)]
    expected = sorted({int(record["members"]) for record in records})
    if expected != [n_members]:
        raise UserError(f"{model} must hold all members of one run, {expected}, got {n_members}")
    return records


def _checked_record(folder: Path) -> dict[str, Any]:
    path = folder / RUN
    if not path.is_file():
        raise UserError(f"{path}: no such file; each member of a run has one")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, sha256 in record["weights"].items():
        digest = file_digest(folder / name) if (folder / name).is_file() else "no file"
        if digest != sha256:
            raise UserError(f"{folder / name}: must have SHA-256 {sha256}, got {digest}")
    return record
