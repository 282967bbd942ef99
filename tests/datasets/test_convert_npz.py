"""Arrays made into datasets of images."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK

from reseed.contracts.errors import InvalidDataset, UserError
from reseed.datasets import check_dataset
from reseed.datasets.convert import ConversionRequest, convert_dataset
from tests.datasets.sources import SHARED, task, voxels

SPACING = (2.0, 2.5, 3.0)


def arrays(n_cases=6, shape=(4, 8, 8)):
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (n_cases, *shape)).astype(np.uint8),
        "label": rng.integers(0, 2, (n_cases, *shape)).astype(np.uint8),
        "case": np.array([f"Case/{number}" for number in range(n_cases)]),
    }


def converted(tmp_path, content, name="pancreas_segmentation", **options):
    source = tmp_path / "source.npz"
    np.savez(source, **content)
    asked = {"spacing_xyz_mm": SPACING} | options
    manifest = convert_dataset(
        ConversionRequest(source=source, out=tmp_path / "mine", task=task(name), **asked), lambda line: None
    )
    assert check_dataset(tmp_path / "mine") == manifest
    return manifest


class TestArrays:
    def test_volumes(self, tmp_path):
        """
        A volume keeps its voxels and gets the spacing that was named, which the manifest calls nominal.
        """
        content = arrays()
        manifest = converted(tmp_path, content)
        path = next((tmp_path / "mine" / "training" / "imagesTr").iterdir())
        number = int(path.name.split("_")[0].split("-")[1])

        assert path.name == f"Case-{number}_0000.nii.gz"  # a slash is not safe in a file's name
        assert np.array_equal(voxels(path), content["image"][number])
        assert SimpleITK.ReadImage(str(path)).GetSpacing() == SPACING
        assert "spacing 2 × 2.5 × 3 mm is nominal: given by hand, the source has none" in manifest.notes

    def test_slices(self, tmp_path):
        """
        A slice is a volume of one slice; slices of a patient stay together.
        """
        content = arrays(shape=(8, 8)) | {"patient": np.array(["a", "a", "b", "b", "c", "c"])}
        manifest = converted(tmp_path, content)
        table = (tmp_path / "mine" / "test" / "reference" / "patients.csv").read_text().splitlines()

        assert (manifest.n_training_patients, manifest.n_test_patients) == (2, 1)
        assert len({line.split(",")[1] for line in table[1:]}) == 1
        path = next((tmp_path / "mine" / "training" / "imagesTr").iterdir())
        assert voxels(path).shape == (1, 8, 8)

    @pytest.mark.parametrize(
        ("image", "label"), [(">f4", "?"), ("f2", ">u2"), ("?", "i1"), (">i2", "f2"), ("<u8", ">i8")]
    )
    def test_types(self, tmp_path, image, label):
        """
        Masks of true and false, half precision and any byte order keep their values.
        """
        content = arrays()
        content["image"], content["label"] = content["image"].astype(image), content["label"].astype(label)
        converted(tmp_path, content)
        training = tmp_path / "mine" / "training"

        for number in range(6):
            path = training / "imagesTr" / f"Case-{number}_0000.nii.gz"
            if path.exists():
                assert np.array_equal(voxels(path), content["image"][number])
                labels = voxels(training / "labelsTr" / f"Case-{number}.nii.gz")
                assert np.array_equal(labels, content["label"][number])

    @pytest.mark.parametrize("dtype", ["c8", "U3", "M8[D]", "longdouble"])
    @pytest.mark.parametrize("key", ["image", "label"])
    def test_types_that_no_image_has(self, tmp_path, key, dtype):
        """
        Anything else is refused in one line, once.
        """
        content = arrays()
        content[key] = content[key].astype("i8").astype(dtype)

        with pytest.raises(InvalidDataset) as refused:
            converted(tmp_path, content)
        assert str(refused.value) == (
            f"{tmp_path / 'source.npz'}: {key} of Case/0: must be of whole numbers, floats of at most "
            f"64 bits, or true and false; got {np.dtype(dtype)}"
        )

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"label": None}, "must have an array 'label'; it has image, case"),
            ({"case": np.array(["one"])}, "all arrays must have one entry for each case"),
            ({"label": np.zeros((6, 8, 8))}, r"image and label must have one shape"),
            ({"case": np.array(["a"] * 6)}, "case 'a' is there twice"),
        ],
    )
    def test_mistakes(self, tmp_path, change, words):
        """
        What is wrong with the arrays is said in a line.
        """
        content = {key: value for key, value in (arrays() | change).items() if value is not None}

        with pytest.raises(InvalidDataset, match=words):
            converted(tmp_path, content)
        assert not (tmp_path / "mine").exists()

    def test_needs_a_spacing(self, tmp_path):
        """
        A spacing is never made up.
        """
        with pytest.raises(
            UserError, match=r"holds no distance of voxels; give a nominal one with --spacing"
        ):
            converted(tmp_path, arrays(), spacing_xyz_mm=None)

    def test_pickles_are_not_run(self, tmp_path):
        """
        An array of objects is refused unread.
        """
        content = arrays() | {"case": np.array([f"c{n}" for n in range(6)], dtype=object)}

        with pytest.raises(InvalidDataset, match=r"is not a readable \.npz file: Object arrays"):
            converted(tmp_path, content)

    def test_no_archive(self, tmp_path):
        """
        A file of another kind is named.
        """
        (tmp_path / "text.npz").write_text("nothing")
        asked = ConversionRequest(
            source=tmp_path / "text.npz",
            out=tmp_path / "mine",
            task=task("pancreas_segmentation"),
            spacing_xyz_mm=SPACING,
        )

        with pytest.raises(InvalidDataset, match=r"text\.npz: is not a readable \.npz file"):
            convert_dataset(asked, lambda line: None)


@pytest.mark.shared_data
class TestRealData:
    @pytest.mark.parametrize(
        ("file", "name", "n_patients", "options"),
        [
            (
                "prostate_mri_promise12_46x24x64x64",
                "prostate_segmentation",
                46,
                {"channels": {"transverse-t2-prostate-mri": "0"}},
            ),
            ("pancreas_ct_nih_264x128x128", "pancreas_segmentation", 61, {}),
        ],
    )
    def test_organs(self, tmp_path, file, name, n_patients, options):
        """
        Real prostates and pancreases, whole patients on either side.
        """
        source = SHARED / "tensors" / f"{file}.npz"
        if not source.is_file():
            pytest.skip("no shared data")
        asked = ConversionRequest(
            source=source, out=tmp_path / "mine", task=task(name), spacing_xyz_mm=SPACING, **options
        )
        manifest = convert_dataset(asked, lambda line: None)

        assert manifest.n_training_patients + manifest.n_test_patients == n_patients
        document = json.loads((tmp_path / "mine" / "training" / "dataset.json").read_text())
        assert list(document["labels"].values()) == [0, 1]
