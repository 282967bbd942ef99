"""Room on the disk of a study."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reseed.contracts.errors import NoSpaceLeft
from reseed.contracts.files import write_bytes_atomically
from reseed.orchestration.disk import StudyDisk, bytes_text, file_system_of, is_full
from tests.small_disk import small_disk

MIB = 2**20


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MiB."""
    with small_disk(tmp_path / "disk", n_mib=32) as mounted:
        yield mounted


def _looked(disk: StudyDisk) -> StudyDisk:
    disk._looked_at = disk._tried_at = -100.0
    disk.look()
    return disk


def test_a_disk_is_full_until_the_reserve_is_free_again(place: Path):
    """What is full and what it takes is said in one line, with the file system's place and type."""
    disk = StudyDisk(place / "study", reserve_bytes=8 * MIB)
    assert not _looked(disk).is_full

    (place / "ballast").write_bytes(bytes(22 * MIB))

    assert _looked(disk).is_full
    complaint = disk.complaint()
    assert complaint.startswith(f"the disk is full: {place} (")
    assert " MiB free and 8 MiB are needed; jobs wait until there is room" in complaint

    (place / "ballast").unlink()
    assert not _looked(disk).is_full


def test_room_for_the_next_result_is_needed_too(place: Path):
    """The largest so far: the next may be as large."""
    disk = StudyDisk(place, reserve_bytes=MIB)
    disk.note_output(40 * MIB)

    assert disk.needed_bytes == 41 * MIB
    assert _looked(disk).is_full


def test_whose_doing_it_is(place: Path):
    """A job has filled the disk when there would be room without what it wrote."""
    disk = StudyDisk(place, reserve_bytes=8 * MIB)
    assert not disk.would_have_room(20 * MIB)

    (place / "ballast").write_bytes(bytes(22 * MIB))

    assert disk.would_have_room(20 * MIB)
    assert not disk.would_have_room(1024)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(MIB // 16))


def test_what_cannot_be_written_waits_until_it_can(place: Path):
    """The old file stays whole meanwhile, and the wait is told."""
    path = place / "state.json"
    write_bytes_atomically(path, b"old")
    ballast = place / "ballast"
    with pytest.raises(OSError, match="No space left") as caught:
        _fill(ballast)
    assert is_full(caught.value)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if len(told) == 1:
            assert path.read_bytes() == b"old"
            threading.Timer(0.2, ballast.unlink).start()

    StudyDisk(place, reserve_bytes=MIB).when_there_is_room(
        lambda: write_bytes_atomically(path, bytes(2 * MIB)), tell=tell, stop_requested=lambda: False
    )

    assert path.stat().st_size == 2 * MIB
    assert [line.split(":")[0] for line in told] == [
        "the disk is full",
        "the disk has room again; the study goes on",
    ]
    assert sorted(child.name for child in place.iterdir() if child.is_file()) == ["state.json"]


def test_a_wait_can_be_stopped(tmp_path: Path):
    """Whoever is asked to stop while the disk is full says what is full; other errors are not waited for."""
    disk = StudyDisk(tmp_path)

    def full() -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    def broken() -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(NoSpaceLeft, match="is a quota used up"):
        disk.when_there_is_room(full, tell=lambda line: None, stop_requested=lambda: True)
    with pytest.raises(OSError, match="Input/output"):
        disk.when_there_is_room(broken, tell=lambda line: None, stop_requested=lambda: True)


def test_a_file_system_by_its_name(tmp_path: Path):
    """Also of a folder that is not there yet."""
    shown = file_system_of(tmp_path / "not" / "yet")

    mounted = Path(shown.split(" (")[0])
    assert mounted.stat().st_dev == tmp_path.stat().st_dev


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 bytes"), (1000, "1000 bytes"), (2048, "2 KiB"), (3 << 30, "3.0 GiB")]
)
def test_bytes_in_words(n_bytes: int, text: str):
    """As `df -h` says them."""
    assert bytes_text(n_bytes) == text
