"""The reference table: what is read from it, and every way in which it can be wrong."""

import pytest

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.task import ReferenceTable
from reseed.scoring.reference import ReferenceCase, reference_cases

TABLE = ReferenceTable(patient="patient")


def written(folder, text):
    """A ground truth folder with that table."""
    (folder / "reference.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refusal(folder, text, table=TABLE):
    """The lines with which a table is refused."""
    with pytest.raises(InvalidDocument) as caught:
        reference_cases(written(folder, text), table)
    return list(caught.value.lines)


class TestReferenceCases:
    def test_cases_sorted_by_id(self, tmp_path):
        """
        The order of the rows means nothing; further columns are not read.
        """
        text = "label,case,patient,malignancy\n0,b,p1,1.5\n1,a,p2,4.5\n"

        assert reference_cases(written(tmp_path, text), TABLE) == (
            ReferenceCase("a", 1, "p2"),
            ReferenceCase("b", 0, "p1"),
        )

    def test_without_a_patient_column(self, tmp_path):
        """
        A task that names no patient column gets cases without one.
        """
        cases = reference_cases(written(tmp_path, "case,label\na,1\nb,0\n"), ReferenceTable())

        assert [case.patient for case in cases] == [None, None]

    @pytest.mark.parametrize(
        "text",
        [
            "\ufeffcase,patient,label\na,p,1\nb,p,0\n",
            "case,patient,label\r\na,p,1\r\n\r\nb,p,0\r\n",
            "case , patient,label\n a,p , 1\nb,p,0\n,,\n",
            '"case","patient","label"\n"a","p","1.0"\n"b","p","0.0"',
        ],
    )
    def test_spreadsheet_habits_are_understood(self, tmp_path, text):
        """
        Byte order mark, CRLF, blank lines, padding, quotes and labels as 1.0.
        """
        cases = reference_cases(written(tmp_path, text), TABLE)

        assert cases == (ReferenceCase("a", 1, "p"), ReferenceCase("b", 0, "p"))


class TestRefusals:
    def test_missing_file(self, tmp_path):
        """
        The path is named.
        """
        with pytest.raises(UserError, match=r"reference\.csv: no such file; it is the reference standard"):
            reference_cases(tmp_path, TABLE)

    def test_one_line_per_mistake(self, tmp_path):
        """
        Unknown label, duplicate case, empty patient, empty case: each with its line, in one go.
        """
        text = "case,patient,label\na,p,1\nb,p,2\na,p,0\nc,,0\n,p,0\nd,p,\ne,p,0\n"
        place = f"{tmp_path / 'reference.csv'}"

        assert refusal(tmp_path, text) == [
            f"{place}:3: case 'b': label must be 0 or 1, got '2'",
            f"{place}:4: case 'a' is given twice, first in line 2",
            f"{place}:5: case 'c': patient is empty",
            f"{place}:6: case: required, and empty",
            f"{place}:7: case 'd': label must be 0 or 1, got ''",
        ]

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("case,patient,label\na,p,1\nb,p,1\n", ": all 2 cases have label 1; both 0 and 1 must be there"),
            ("case,patient,label\n", ": has no case"),
            ("", ":1: column 'case' is missing; columns: none"),
            ("case;patient;label\n", ":1: column 'case' is missing; columns: case;patient;label"),
            ("case,case,label\n", ":1: column 'case' is given twice; columns: case, case, label"),
            ("case,label\na,1\n", ":1: column 'patient' is missing; columns: case, label"),
            ("case,patient,label\na,p\n", ":2: has 2 cells, the header has 3"),
            ("case,patient,label\na,p,1,x\n", ":2: has 4 cells, the header has 3"),
            (b"case,patient,label\n\xff,p,1\n", ": not a CSV table: not UTF-8 text"),
            ('case,patient,label\n"a,p,1\n', ": not a CSV table: unexpected end of data"),
        ],
    )
    def test_the_line(self, tmp_path, text, line):
        """
        One line with the place and the rule.
        """
        assert refusal(tmp_path, text) == [f"{tmp_path / 'reference.csv'}{line}"]
