"""Readers of images, fuzzed: whatever the bytes are, an image or a declared error, never another."""

import contextlib
import gzip
import os
import struct
import zlib

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reseed.contracts.errors import UserError
from reseed.contracts.evaluation import GridTolerance
from reseed.imaging.grids import Grid, grid_difference
from reseed.imaging.metaimage import UnusableImage
from reseed.scoring.images import read_image
from reseed.scoring.picai_results import read_picai_results
from reseed.scoring.reference import table_rows
from tests.scoring.image_submissions import write_image

VOXELS = np.arange(60, dtype=np.uint8).reshape(3, 4, 5) % 3
FUZZ = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True, scope="module")
def quiet(tmp_path_factory):
    """ITK's libraries print to the file of standard error, past Python."""
    kept, silent = os.dup(2), os.open(tmp_path_factory.mktemp("quiet") / "stderr", os.O_WRONLY | os.O_CREAT)
    os.dup2(silent, 2)
    yield
    os.dup2(kept, 2)
    os.close(kept)
    os.close(silent)


@st.composite
def damage(draw):
    """How a file's bytes are changed: cut, overwritten, or with something put in."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(["cut", "set", "insert"]),
                st.floats(0, 1),
                st.binary(min_size=1, max_size=6)
                | st.sampled_from([b"\n", b" = ", b"LOCAL", b"\xff" * 8, b"-1"]),
            ),
            min_size=1,
            max_size=4,
        )
    )


def damaged(content: bytes, changes) -> bytes:
    """The bytes after those changes; most of them in the header, where they matter."""
    for kind, share, new in changes:
        place = int(share * share * len(content))
        if kind == "cut":
            content = content[:place]
        elif kind == "set":
            content = content[:place] + new + content[place + len(new) :]
        else:
            content = content[:place] + new + content[place:]
    return content


def image_or_refusal(path):
    """Reads an image; a declared error is as good."""
    try:
        image = read_image(path)
    except UserError as error:
        return str(error)
    assert image.voxels.ndim == 3
    assert np.isfinite(image.voxels).all()
    return "an image"


class TestFuzzing:
    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize("suffix", [".mha", ".nii", ".nii.gz", ".tif"])
    def test_damaged_files(self, tmp_path, suffix, compressed):
        """
        Cut, overwritten and longer files of every format.
        """
        path = write_image(tmp_path / f"x{suffix}", VOXELS, compressed=compressed)
        right = path.read_bytes()

        @FUZZ
        @given(changes=damage())
        def fuzzed(changes):
            path.write_bytes(damaged(right, changes))
            assert len(image_or_refusal(path).splitlines()) == 1

        fuzzed()

    def test_damaged_streams(self, tmp_path):
        """
        A whole gzip file around a damaged image.
        """
        path = write_image(tmp_path / "x.nii", VOXELS)
        right, target = path.read_bytes(), tmp_path / "x.nii.gz"

        @FUZZ
        @given(changes=damage())
        def fuzzed(changes):
            target.write_bytes(gzip.compress(damaged(right, changes)))
            assert len(image_or_refusal(target).splitlines()) == 1

        fuzzed()

    def test_damaged_headers_of_two_files(self, tmp_path):
        """
        A .mhd header that is damaged beside whole voxels.
        """
        path = write_image(tmp_path / "x.mhd", VOXELS, compressed=False)
        right = path.read_bytes()

        @FUZZ
        @given(changes=damage())
        def fuzzed(changes):
            path.write_bytes(damaged(right, changes))
            assert len(image_or_refusal(path).splitlines()) == 1

        fuzzed()

    @pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nii", ".nii.gz", ".tif"])
    def test_any_bytes(self, tmp_path, suffix):
        """
        Noise under the name of an image.
        """
        path = tmp_path / f"x{suffix}"

        @FUZZ
        @given(content=st.binary(max_size=800))
        def fuzzed(content):
            path.write_bytes(content)
            assert len(image_or_refusal(path).splitlines()) == 1

        fuzzed()

    def test_tables_and_json(self, tmp_path):
        """
        The readers of CSV tables and of picai_eval's JSON.
        """
        table, document = tmp_path / "t.csv", tmp_path / "p.json"
        json_like = st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["lesion_results", "case_pred", "case_target", "case_weight", "a"]),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=12,
        )

        @FUZZ
        @given(content=st.binary(max_size=200), value=json_like)
        def fuzzed(content, value):
            import json

            table.write_bytes(b"case,label\n" + content)
            document.write_text(json.dumps(value))
            for read in (
                lambda: list(table_rows(table, ("case", "label"))),
                lambda: read_picai_results(document, task="t"),
            ):
                with contextlib.suppress(UserError):
                    read()

        fuzzed()


class TestBroken:
    def test_compressed_voxels_that_are_broken(self, tmp_path):
        """
        SimpleITK prints a line and goes on with wrong voxels; here it is refused.
        """
        path = write_image(tmp_path / "x.mha", VOXELS)
        content = bytearray(path.read_bytes())
        content[-8] ^= 0xFF
        path.write_bytes(bytes(content))

        with pytest.raises(UnusableImage, match=r"is broken: its compressed voxels|is cut short"):
            read_image(path)

    def test_more_voxels_than_announced(self, tmp_path):
        """
        A compressed bomb is not unpacked.
        """
        path = write_image(tmp_path / "x.mha", VOXELS)
        header = path.read_bytes().split(b"CompressedDataSize")[0]
        bomb = zlib.compress(bytes(50_000_000))
        path.write_bytes(
            header + b"CompressedDataSize = %d\nDimSize = 5 4 3\n" % len(bomb) + b"ElementType = MET_UCHAR\n"
            b"ElementDataFile = LOCAL\n" + bomb
        )

        with pytest.raises(UnusableImage):
            read_image(path)

    def test_a_small_file_of_a_large_image(self, tmp_path):
        """
        The grid is compared before memory is taken for voxels.
        """
        path = write_image(tmp_path / "x.mha", VOXELS, compressed=False)
        path.write_bytes(path.read_bytes().replace(b"DimSize = 5 4 3", b"DimSize = 50000 40000 30000"))

        with pytest.raises(UnusableImage, match="is too large: 50000 × 40000 × 30000 voxels"):
            read_image(path)
        grid = read_image(write_image(tmp_path / "y.mha", VOXELS)).grid
        with pytest.raises(UnusableImage, match="is on another grid: its size is"):
            read_image(path, reference=grid)

    def test_colours(self, tmp_path):
        """
        Several numbers per voxel are no mask.
        """
        image = SimpleITK.GetImageFromArray(np.zeros((2, 3, 4, 3), dtype=np.uint8), isVector=True)
        SimpleITK.WriteImage(image, str(tmp_path / "x.mha"))

        with pytest.raises(UnusableImage, match="must have one number per voxel, got 3"):
            read_image(tmp_path / "x.mha")


def nifti_bytes(voxels: np.ndarray, *, order: str, slope: float = 1.0) -> bytes:
    """A NIfTI-1 file of floats, as its standard says."""
    header = bytearray(352)
    size = voxels.dtype.itemsize
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into(f"{order}3h", header, 68, 0, {4: 16, 8: 64}[size], 8 * size)
    struct.pack_into(f"{order}8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into(f"{order}3f", header, 108, 352, slope, 0)
    header[344:348] = b"n+1\0"
    return bytes(header) + voxels.astype(f"{order}f{size}").tobytes()


class TestNotFinite:
    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("slope", [1.0, 2.0])
    def test_what_itk_reads_as_0(self, tmp_path, suffix, dtype, order, slope):
        """
        NaN and infinity in a NIfTI file are counted as they are stored, also in its last voxel.
        """
        voxels = np.random.default_rng(0).random((30, 70, 80)).astype(dtype)
        pack = gzip.compress if suffix == ".nii.gz" else bytes
        path = tmp_path / f"x{suffix}"
        path.write_bytes(pack(nifti_bytes(voxels, order=order, slope=slope)))
        assert np.allclose(read_image(path).voxels, slope * voxels)

        voxels[2, 3, 4], voxels[17, 0, 0], voxels[-1, -1, -1] = np.nan, -np.inf, np.inf
        path.write_bytes(pack(nifti_bytes(voxels, order=order, slope=slope)))
        assert np.isfinite(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))).all()
        with pytest.raises(UnusableImage, match=r"^has 3 voxels that are NaN or infinite$"):
            read_image(path)

    @pytest.mark.parametrize("suffix", [".mha", ".nii", ".nii.gz", ".tif"])
    def test_formats_agree(self, tmp_path, suffix):
        """
        The same voxels are refused in the same words, whatever they are written as.
        """
        voxels = VOXELS.astype(np.float32)
        voxels[1, 2, 3] = voxels[0, 0, 0] = np.nan

        with pytest.raises(UnusableImage, match=r"^has 2 voxels that are NaN or infinite$"):
            read_image(write_image(tmp_path / f"x{suffix}", voxels))


class TestGrids:
    def test_not_a_number(self):
        """
        NaN is close to nothing.
        """
        grid = Grid((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
        odd = Grid((2, 2, 2), (1.0, 1.0, float("nan")), (0.0, 0.0, 0.0), grid.direction)

        assert grid_difference(grid, odd, GridTolerance()) is not None
        assert grid_difference(grid, grid, GridTolerance()) is None

    @pytest.mark.parametrize(("angle", "is_same"), [(0.0005, True), (0.01, False)])
    def test_directions(self, angle, is_same):
        """
        A rotation is another grid, a rounding is not.
        """
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        grid = Grid((2, 2, 2), (1.0,) * 3, (0.0,) * 3, (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
        turned = Grid((2, 2, 2), (1.0,) * 3, (0.0,) * 3, (cosine, -sine, 0, sine, cosine, 0, 0, 0, 1.0))

        assert (grid_difference(grid, turned, GridTolerance()) is None) == is_same
