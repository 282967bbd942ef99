"""Whose files a study leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reseed.orchestration.ownership import hand_over


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_root_hands_its_files_to_the_owner_of_the_checkout(tmp_path: Path):
    """What a container writes as root can be deleted by whoever started it; links are not followed."""
    checkout, elsewhere = tmp_path / "checkout", tmp_path / "elsewhere"
    (checkout / "study" / "runs").mkdir(parents=True)
    elsewhere.write_text("not ours")
    (checkout / "study" / "runs" / "run.json").write_text("{}")
    (checkout / "study" / "link").symlink_to(elsewhere)
    os.chown(checkout, 1234, 1235)

    hand_over(checkout / "study", like=checkout)

    owned = [checkout / "study", *(checkout / "study").rglob("*")]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in owned} == {(1234, 1235)}
    assert elsewhere.stat().st_uid == 0


def test_nothing_happens_where_there_is_nothing_to_hand_over(tmp_path: Path):
    """A study that never began leaves no folder, and that is no error."""
    hand_over(tmp_path / "absent", like=tmp_path)

    assert not (tmp_path / "absent").exists()
