"""Cases as a platform hands them over."""

from __future__ import annotations

import json
import math

import pytest

from algorithms.common.cases import Case, cases
from reseed.contracts.containers import InferencePaths
from reseed.contracts.errors import UserError
from reseed.contracts.sockets import Socket, SocketValue

SOURCE = Socket(slug="ct", kind="Image", super_kind="Image", relative_path="images/ct")
TARGET = Socket(slug="likelihood", kind="Float", super_kind="Value", relative_path="likelihood.json")


@pytest.fixture
def case(tmp_path):
    folder = tmp_path / "input"
    (folder / "images/ct").mkdir(parents=True)
    (folder / "images/ct/0c7b.mha").touch()
    value = SocketValue.of(SOURCE, image_name="case_1.mha").model_dump(mode="json")
    (folder / "inputs.json").write_text(json.dumps([value]))
    return Case("case_1", folder, tmp_path / "output")


class TestCase:
    def test_image_of_any_name(self, case):
        """
        The file name is the platform's choice, not the case's.
        """
        assert case.image(SOURCE).name == "0c7b.mha"

    def test_older_platforms(self, case):
        """
        A value that names its socket under `interface` alone is understood.
        """
        values = json.loads((case.input_folder / "inputs.json").read_text())
        del values[0]["socket"]
        (case.input_folder / "inputs.json").write_text(json.dumps(values))

        assert case.image(SOURCE).name == "0c7b.mha"

    def test_two_files(self, case):
        """
        Two files for one socket are refused: neither is the right one.
        """
        (case.input_folder / "images/ct/other.mha").touch()

        with pytest.raises(UserError, match="case 'case_1': images/ct must hold exactly one file, got 2"):
            case.image(SOURCE)

    def test_socket_not_named(self, case):
        """
        A socket that inputs.json does not name is refused, with those it does.
        """
        other = Socket(slug="mr", kind="Image", super_kind="Image", relative_path="images/mr")

        with pytest.raises(
            UserError, match=r"case 'case_1': inputs\.json must name socket 'mr', got \['ct'\]"
        ):
            case.image(other)

    def test_bad_inputs(self, case):
        """
        An inputs.json of another shape is refused with the place.
        """
        (case.input_folder / "inputs.json").write_text('[{"pk": 1}]')

        with pytest.raises(UserError, match=r"case 'case_1': inputs\.json: 0: .*neither 'socket' nor"):
            case.image(SOURCE)

    def test_value(self, case):
        """
        A value is one JSON number in its file; NaN never leaves.
        """
        case.write_value(TARGET, 0.25)

        assert json.loads((case.output_folder / "likelihood.json").read_text()) == 0.25
        with pytest.raises(UserError, match="likelihood must be a finite number, got nan"):
            case.write_value(TARGET, math.nan)


class TestCases:
    def test_one(self, case, tmp_path):
        """
        With /input/inputs.json there is one case, and its output goes to /output.
        """
        (found,) = cases(InferencePaths(tmp_path))

        assert (found.input_folder, found.output_folder) == (tmp_path / "input", tmp_path / "output")

    def test_many(self, tmp_path):
        """
        Without it every folder with one is a case, by name, each with an output folder of its own.
        """
        for name in ("b", "a"):
            (tmp_path / "input" / name).mkdir(parents=True)
            (tmp_path / "input" / name / "inputs.json").touch()

        found = list(cases(InferencePaths(tmp_path)))

        assert [case.name for case in found] == ["a", "b"]
        assert found[0].output_folder == tmp_path / "output/a/output"

    def test_none(self, tmp_path):
        """
        An empty /input is refused.
        """
        with pytest.raises(UserError, match=r"input must hold inputs\.json, or folders of cases"):
            list(cases(InferencePaths(tmp_path)))
