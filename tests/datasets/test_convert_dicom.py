"""DICOM series made into cases."""

from __future__ import annotations

import json
import locale

import numpy as np
import pytest
import SimpleITK

from reseed.contracts.errors import InvalidDataset
from reseed.datasets import check_dataset
from reseed.datasets.convert import ConversionRequest, convert_cases, convert_dataset
from reseed.datasets.convert_dicom import dicom_series, read_series
from tests.datasets.sources import SHARED, image, label_map, task, voxels, write

SEQUENCES = {"t2": "t2_tse_tra", "adc": "ep2d_diff_ADC", "hbv": "ep2d_diff_BVAL"}
CHANNELS = {
    "transverse-t2-prostate-mri": "t2*",
    "transverse-adc-prostate-mri": "*adc",
    "transverse-hbv-prostate-mri": "*bval",
}


def write_series(volume, folder, *, patient, study, series, description, shift_mm=(0.0, 0.0, 0.0)):
    """A volume as one DICOM file a slice, each shifted against the one before."""
    folder.mkdir(parents=True)
    before = locale.setlocale(locale.LC_CTYPE)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(volume.GetSize()[2]):
        part = volume[:, :, index]
        position = np.add(
            volume.TransformIndexToPhysicalPoint((0, 0, index)), index * np.array(shift_mm)
        ).tolist()
        cosines = np.reshape(volume.GetDirection(), (3, 3)).T[:2].ravel().tolist()
        for key, value in {
            "0010|0020": patient,
            "0020|000d": f"1.2.3.{study}",
            "0020|000e": f"1.2.3.{study}.{series}",
            "0008|0018": f"1.2.3.{study}.{series}.{index + 1}",
            "0008|103e": description,
            "0008|0060": "MR",
            "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "\\".join(map(str, cosines)),
            "0020|0013": str(index),
            "0018|0050": str(volume.GetSpacing()[2]),
        }.items():
            part.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{index:03d}.dcm"))
        writer.Execute(part)
    # GDCM leaves the process in the locale "C" when it has written numbers
    locale.setlocale(locale.LC_CTYPE, before)


@pytest.fixture
def source(tmp_path):
    """Two patients with three series each."""
    root = tmp_path / "dicom"
    for number in (1, 2):
        for series, (name, description) in enumerate(SEQUENCES.items(), start=1):
            write_series(
                image(10 * number + series),
                root / f"patient {number}" / name,
                patient=f"P/{number}",
                study=number,
                series=series,
                description=description,
            )
    (root / "notes.txt").write_text("not DICOM")
    return root


def asked(source, out, **options):
    return ConversionRequest(
        source=source, out=out, task=task("cspca_detection"), **({"channels": CHANNELS} | options)
    )


class TestCases:
    def test_series_fill_their_sockets(self, source, tmp_path):
        """
        One case a study, each series where it belongs, voxels and grid as GDCM reads them.
        """
        convert_cases(asked(source, tmp_path / "cases"), lambda line: None)

        assert sorted(path.name for path in (tmp_path / "cases").iterdir()) == ["P-1", "P-2"]
        for number in (1, 2):
            for series, slug in enumerate(CHANNELS, start=1):
                path = tmp_path / "cases" / f"P-{number}" / "images" / slug / f"P-{number}.mha"
                expected = image(10 * number + series)
                written = SimpleITK.ReadImage(str(path))
                assert (voxels(path) == SimpleITK.GetArrayFromImage(expected)).all()
                assert written.GetOrigin() == pytest.approx(expected.GetOrigin())
                assert written.GetSpacing() == pytest.approx(expected.GetSpacing())

    def test_no_name_of_a_patient_is_copied(self, source, tmp_path):
        """
        Only the case's name tells whose it is: no header goes along.
        """
        convert_cases(asked(source, tmp_path / "cases"), lambda line: None)
        header = next((tmp_path / "cases").rglob("*.mha")).read_bytes()[:2000]

        assert b"0010|0020" not in header
        assert b"t2_tse" not in header

    def test_a_second_study(self, source, tmp_path):
        """
        A patient's second study is a case of its own, with the same name when the first is left out.
        """
        for series, (name, description) in enumerate(SEQUENCES.items(), start=1):
            write_series(
                image(30 + series),
                source / "patient 1 again" / name,
                patient="P/1",
                study=3,
                series=series,
                description=description,
            )
        convert_cases(asked(source, tmp_path / "all"), lambda line: None)
        convert_cases(asked(source, tmp_path / "some", skip=("P-1",)), lambda line: None)

        names = [sorted(path.name for path in (tmp_path / each).iterdir()) for each in ("all", "some")]
        assert names == [["P-1", "P-1_2", "P-2"], ["P-1_2", "P-2"]]

    def test_dataset_with_label_maps(self, source, tmp_path):
        """
        With a folder of label maps on the grid of the first socket a whole dataset is made.
        """
        for number in (1, 2):
            like = image(10 * number + 1)
            write(label_map(number, like=like, n_labels=1), tmp_path / "labels" / f"P-{number}.nii.gz")
        request = asked(source, tmp_path / "mine", label_folder=tmp_path / "labels", test_fraction=0.5)
        manifest = convert_dataset(request, lambda line: None)
        document = json.loads((tmp_path / "mine" / "training" / "dataset.json").read_text())

        assert check_dataset(tmp_path / "mine") == manifest
        assert document["sockets"] == dict(zip("012", CHANNELS, strict=True))
        assert document["labels"] == {"background": 0, "lesion": 1}

    def test_missing_label_maps(self, source, tmp_path):
        """
        Every case without a label map is a line.
        """
        (tmp_path / "labels").mkdir()

        with pytest.raises(InvalidDataset, match=r"no label map P-1\.nii\.gz\n.*no label map P-2\.nii\.gz"):
            convert_dataset(
                asked(source, tmp_path / "mine", label_folder=tmp_path / "labels"), lambda line: None
            )

    @pytest.mark.parametrize(
        ("pattern", "words"),
        [("dwi*", "must fit one series, fits 0; the study has"), ("*", "must fit one series, fits 3; these")],
    )
    def test_which_series(self, source, tmp_path, pattern, words):
        """
        A pattern that fits no series, or several, is a line for each study that says which there are.
        """
        channels = CHANNELS | {"transverse-t2-prostate-mri": pattern}

        with pytest.raises(InvalidDataset) as refused:
            convert_cases(asked(source, tmp_path / "cases", channels=channels), lambda line: None)
        lines = str(refused.value).splitlines()
        assert len(lines) == 2
        assert all(words in line and "'t2_tse_tra'" in line for line in lines)

    def test_a_missing_slice(self, source, tmp_path):
        """
        A gap would stretch what lies around it, so it is refused and named.
        """
        (source / "patient 2" / "adc" / "002.dcm").unlink()

        with pytest.raises(
            InvalidDataset,
            match=r"case 'P-2': .*evenly spaced by 2\.000 mm, got 4\.000 mm between 001\.dcm and 003\.dcm",
        ):
            convert_cases(asked(source, tmp_path / "cases"), lambda line: None)
        assert not (tmp_path / "cases").exists()

    @pytest.mark.parametrize("n_slices", [2, 6])
    @pytest.mark.parametrize("angle", [0.0, 0.3])
    def test_a_tilted_gantry(self, tmp_path, angle, n_slices):
        """
        Slices that are not stacked along their normal have no place in a volume with right angles.
        """
        volume = image(1, shape=(n_slices, 6, 5))
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        volume.SetDirection((1, 0, 0, 0, cosine, -sine, 0, sine, cosine))
        names = {"patient": "P/1", "study": 1, "series": 1, "description": "t2"}
        write_series(volume, tmp_path / "straight", **names)
        (made,) = dicom_series(tmp_path / "straight")
        read = read_series(made)
        last = (0, 0, n_slices - 1)
        assert read.TransformIndexToPhysicalPoint(last) == pytest.approx(
            volume.TransformIndexToPhysicalPoint(last), abs=1e-3
        )

        shift = (0.0, 0.5 * cosine, 0.5 * sine)  # within the plane
        write_series(volume, tmp_path / "tilted", **names, shift_mm=shift)
        (made,) = dicom_series(tmp_path / "tilted")
        with pytest.raises(
            InvalidDataset, match=r"tilted: slices .* right angles .* 0\.500 mm .* 000\.dcm and 001\.dcm"
        ):
            read_series(made)

    @pytest.mark.shared_data
    def test_real_series(self, tmp_path):
        """
        Two examinations of PROSTATEx, three series each; the spacing is the scanner's.
        """
        real = SHARED / "prostatex_dicom_2cases"
        if not real.is_dir():
            pytest.skip("no shared data")
        assert convert_cases(asked(real, tmp_path / "cases"), lambda line: None) == 2
        t2 = tmp_path / "cases/ProstateX-0000/images/transverse-t2-prostate-mri/ProstateX-0000.mha"
        read = SimpleITK.ReadImage(str(t2))

        assert read.GetSize() == (384, 384, 19)
        assert read.GetSpacing() == pytest.approx((0.5, 0.5, 3.0), abs=1e-3)
