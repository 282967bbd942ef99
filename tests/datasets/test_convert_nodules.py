"""CT scans with nodules, made into a dataset."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from reseed.contracts.digests import digest_by_file
from reseed.contracts.errors import InvalidDataset, UserError
from reseed.contracts.evaluation import LesionClassification
from reseed.contracts.sockets import SocketValue
from reseed.datasets import check_dataset
from reseed.datasets.convert import ConversionRequest, convert_cases, convert_dataset
from reseed.scoring.lesion_classification import reference_lesions
from tests.datasets.sources import SHARED, image, task, voxels, write

NAME = "lung_nodule_malignancy"
HEADER = "case,patient,nodule,x_mm,y_mm,z_mm,label\n"


def converted(tmp_path, source, **options):
    asked = ConversionRequest(source=source, out=tmp_path / "mine", task=task(NAME), **options)
    manifest = convert_dataset(asked, lambda line: None)
    assert check_dataset(tmp_path / "mine") == manifest
    return manifest


@pytest.fixture
def scans(tmp_path):
    """Four scans whose grid starts at (3, -4, 5) mm."""
    for number in range(4):
        write(image(number, shape=(6, 8, 8)), tmp_path / "ct" / f"scan{number}.nii.gz")
    return tmp_path / "ct"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "nodules.csv"
    rows = [f"scan{n},p{n},{k},{4.5 + k},-2,{6 + k},{int(n % 2 and k)}\n" for n in range(4) for k in (0, 1)]
    path.write_text(HEADER + "".join(rows))
    return path


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("case,part\nscan0,training\nscan1,training\nscan2,test\nscan3,test\n")
    return path


class TestScans:
    def test_no_other_task(self, tmp_path, scans, table):
        """
        Nodules have a layout of their own, in which no other task finds its reference.
        """
        with pytest.raises(
            UserError, match="lung_nodule_malignancy is of nodules: its dataset is for no oth"
        ):
            converted(tmp_path, scans, nodules=table, further=(task("pancreas_segmentation"),))

    def test_points_reach_the_case(self, tmp_path, scans, table, split):
        """
        A test case names its nodules as the platform does, in the order of the reference.
        """
        manifest = converted(tmp_path, scans, nodules=table, split=split)
        case = min((tmp_path / "mine" / "test" / "cases").iterdir())
        document = json.loads((case / "nodule-locations.json").read_text())
        values = [SocketValue.model_validate(v) for v in json.loads((case / "inputs.json").read_text())]
        rule = task(NAME).evaluation
        assert isinstance(rule, LesionClassification)
        references = reference_lesions(tmp_path / "mine" / "test" / "reference", rule.reference)

        assert (manifest.n_training_cases, manifest.n_test_cases) == (2, 2)
        assert document["type"] == "Multiple points"
        assert [point["point"] for point in document["points"]] == [[4.5, -2.0, 6.0], [5.5, -2.0, 7.0]]
        assert [value.described_by.slug for value in values] == ["chest-ct", "nodule-locations"]
        assert values[1].value == document
        assert references[0].case_id == case.name
        assert list(references[0].label_by_lesion) == [point["name"] for point in document["points"]]

    def test_cases_to_predict(self, tmp_path, scans, table, split):
        """
        Cases alone are what the test cases of a dataset are, scan and points, and bad ones leave nothing.
        """
        converted(tmp_path, scans, nodules=table, split=split)
        asked = ConversionRequest(source=scans, out=tmp_path / "cases", task=task(NAME), nodules=table)

        assert convert_cases(asked, lambda line: None) == 4
        for case in (tmp_path / "mine" / "test" / "cases").iterdir():
            assert digest_by_file(case) == digest_by_file(tmp_path / "cases" / case.name)
        table.write_text(table.read_text().replace("scan1,p1,0,4.5", "scan1,p1,0,-90"))
        with pytest.raises(InvalidDataset, match=r"case 'scan1': nodule '0' must lie inside the scan"):
            convert_cases(replace(asked, out=tmp_path / "bad"), lambda line: None)
        assert not (tmp_path / "bad").exists()

    def test_training_table(self, tmp_path, scans, table, split):
        """
        Training has the scans and every column of the table.
        """
        converted(tmp_path, scans, nodules=table, split=split)
        with (tmp_path / "mine" / "training" / "nodules.csv").open() as stream:
            rows = list(csv.DictReader(stream))

        assert len(rows) == 4
        assert {f"{row['case']}.mha" for row in rows} == {
            path.name for path in (tmp_path / "mine" / "training" / "images").iterdir()
        }

    def test_every_mistake_is_a_line(self, tmp_path, scans, table):
        """
        Mistakes of the table are found in one go.
        """
        table.write_text(
            HEADER
            + "scan0,p0,1,nan,0,0,1\nscan1,p1,1,4,-2,6,2\nscan2,p2,1,4,-2,6,1\nscan2,p3,2,4,-2,6,1\n"
            + "scan2,p2,1,4,-2,6,1\nscan9,p9,1,4,-2,6,0\nscan1,,1,4,-2,6,0\n"
        )

        with pytest.raises(InvalidDataset) as refused:
            converted(tmp_path, scans, nodules=table)
        assert [line.split(": ", 1)[1] for line in str(refused.value).splitlines()] == [
            "x_mm, y_mm and z_mm must be finite numbers",
            "label must be 0 or 1, got '2'",
            "case 'scan2' has two patients",
            "nodule '1' of case 'scan2' is given twice",
            "patient and nodule must not be empty",
            "has no image of case 'scan9'",
        ]

    def test_a_nodule_outside(self, tmp_path, scans, table):
        """
        A point that is not inside its scan is most likely in other coordinates.
        """
        table.write_text(table.read_text().replace("scan1,p1,0,4.5", "scan1,p1,0,-90"))

        with pytest.raises(
            InvalidDataset, match=r"case 'scan1': nodule '0' must lie inside the scan, is at -90"
        ):
            converted(tmp_path, scans, nodules=table)

    def test_one_class(self, tmp_path, scans, table, split):
        """
        A part without a malignant nodule teaches nothing, or tests nothing.
        """
        split.write_text("case,part\nscan0,test\nscan1,training\nscan2,test\nscan3,training\n")

        with pytest.raises(InvalidDataset, match=r"the training part must have scans with .*, got 2 and 0"):
            converted(tmp_path, scans, nodules=table, split=split)

    def test_no_table(self, tmp_path, scans):
        """
        Scans alone are not enough.
        """
        with pytest.raises(UserError, match=r"needs the table of nodules: --nodules"):
            converted(tmp_path, scans)


class TestCubes:
    def test_malignancy_and_units(self, tmp_path):
        """
        The middle of the scale is left out; bytes become nominal Hounsfield units; the nodule is central.
        """
        rng = np.random.default_rng(0)
        cubes = rng.integers(0, 256, (6, 4, 4, 4)).astype(np.uint8)
        cubes[:, 0, 0, 0], cubes[:, 0, 0, 1] = 0, 255
        np.savez(
            tmp_path / "cubes.npz",
            image=cubes,
            case=np.array([f"c{n}" for n in range(6)]),
            malignancy=np.array([1, 2, 3, 4, 5, 1]),
        )
        manifest = converted(
            tmp_path, tmp_path / "cubes.npz", spacing_xyz_mm=(2.0, 2.0, 2.0), hounsfield=(-900.0, 300.0)
        )
        with (tmp_path / "mine" / "training" / "nodules.csv").open() as stream:
            rows = list(csv.DictReader(stream))

        assert manifest.n_training_cases + manifest.n_test_cases == 5
        assert all((row["x_mm"], row["y_mm"], row["z_mm"]) == ("3.0", "3.0", "3.0") for row in rows)
        assert {row["case"]: row["label"] for row in rows}.items() <= {
            "c0": "0",
            "c1": "0",
            "c3": "1",
            "c4": "1",
            "c5": "0",
        }.items()
        written = voxels(tmp_path / "mine" / "training" / "images" / f"{rows[0]['case']}.mha")
        assert (written[0, 0, 0], written[0, 0, 1]) == (-900, 300)
        assert any(
            "Hounsfield units are nominal: bytes 0 to 255 stand for -900 to 300" in n for n in manifest.notes
        )

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"malignancy": np.array([1, 2, 3, 4, 5, 0])}, "malignancy must be from 1 to 5, got 0"),
            ({"malignancy": np.array([1, 2, 3, 4, 5, np.nan])}, "malignancy must be from 1 to 5, got nan"),
            ({"label": np.array([0, 1, 0, 1, 0, 2])}, "label must be 0 or 1, got 2"),
            ({}, r"must have an array malignancy \(1 to 5\) or label \(0, 1\)"),
            (
                {"image": np.zeros((6, 4, 4)), "label": np.ones(6)},
                r"image must be bytes of shape .*, got float64 of shape \(6, 4, 4\)",
            ),
        ],
    )
    def test_mistakes(self, tmp_path, change, words):
        """
        A value that is no answer is not counted as one, and numbers that are no bytes have no unit.
        """
        content = {"image": np.zeros((6, 4, 4), np.uint8), "case": np.array([f"c{n}" for n in range(6)])}
        np.savez(tmp_path / "cubes.npz", **(content | change))

        with pytest.raises(InvalidDataset, match=words):
            converted(tmp_path, tmp_path / "cubes.npz", spacing_xyz_mm=(2.0, 2.0, 2.0))
        assert not (tmp_path / "mine").exists()

    def test_cases_named_by_numbers(self, tmp_path):
        """
        Names of cases and patients may be whole numbers.
        """
        np.savez(
            tmp_path / "cubes.npz",
            image=np.zeros((8, 4, 4), np.uint8),
            case=np.arange(8),
            patient=np.arange(8) // 2,
            label=np.arange(8) % 2,
        )
        manifest = converted(tmp_path, tmp_path / "cubes.npz", spacing_xyz_mm=(2.0, 2.0, 2.0))

        assert manifest.n_training_patients + manifest.n_test_patients == 4

    @pytest.mark.shared_data
    def test_real_cubes(self, tmp_path):
        """
        93 of the 134 cubes of LIDC have an opinion other than the middle.
        """
        source = SHARED / "tensors" / "lung_nodule_lidc_cubes_134x32x32x32.npz"
        if not source.is_file():
            pytest.skip("no shared data")
        manifest = converted(tmp_path, source, spacing_xyz_mm=(1.5625, 1.5625, 1.5625))

        assert manifest.n_training_cases + manifest.n_test_cases == 93
