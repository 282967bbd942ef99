"""Documents into contracts: one clear line per mistake, with its place in the file."""

import json
from enum import StrEnum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.model import Contract, Name
from reseed.contracts.study import Study
from reseed.documents.reading import json_document, read_json, read_yaml


class Colour(StrEnum):
    """Two of many."""

    RED = "red"
    BLUE = "blue"


class Part(Contract):
    """A nested model."""

    weight: float = Field(gt=0)
    label: str | None = None
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)


class Box(Contract):
    """A model with one field of every sort that our documents have."""

    name: Name
    count: int = Field(ge=1, le=10)
    closed: bool = False
    kind: Literal["a", "b"] = "a"
    colours: tuple[Colour, ...] = Field(default=(), max_length=2)
    parts: dict[str, Part] = Field(default_factory=dict)
    spares: tuple[Part, ...] = ()
    favourite: str | None = None

    @model_validator(mode="after")
    def _favourite_is_a_part(self):
        if self.favourite is not None and self.favourite not in self.parts:
            raise ValueError(f"favourite {self.favourite!r} is not a part")
        return self


@pytest.fixture
def read(tmp_path):
    """Reads text as a Box."""

    def box_of(text):
        path = tmp_path / "box.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(path, Box)

    return box_of


@pytest.fixture
def lines(read, tmp_path):
    """The lines with which text is refused, without the path in front."""

    def lines_of(text):
        with pytest.raises(InvalidDocument) as caught:
            read(text)
        return [line.removeprefix(f"{tmp_path / 'box.yaml'}:") for line in caught.value.lines]

    return lines_of


def is_document_or_refusal(path):
    """Whether reading ends in a Box or in lines that begin with the path."""
    try:
        return isinstance(read_yaml(path, Box), Box)
    except UserError as error:
        return all(line.startswith(str(path)) for line in str(error).splitlines())


class TestReadYaml:
    def test_everything(self, read):
        """
        Every sort of field, as a person writes it.
        """
        box = read(
            "name: box-1\ncount: 3\nclosed: true\nkind: b\ncolours: [red, blue]\n"
            "parts:\n  one: {weight: 1e-3, settings: {a: 1, b: 2.0, c: yes, d: true}}\n"
            "spares:\n  - weight: 2\n    label: no\n"
        )

        assert box.parts["one"].weight == 0.001
        assert box.parts["one"].settings == {"a": 1, "b": 2.0, "c": "yes", "d": True}
        assert box.colours == (Colour.RED, Colour.BLUE)
        assert box.spares[0] == Part(weight=2.0, label="no")

    def test_types_of_a_choice_are_kept(self, read):
        """
        1 stays a whole number, 1.0 a number, true a truth value.
        """
        settings = read("name: b\ncount: 1\nparts: {p: {weight: 1, settings: {a: 1, b: 1.0, c: true}}}")

        assert [type(value) for value in settings.parts["p"].settings.values()] == [int, float, bool]

    def test_anchors_and_merge(self, read):
        """
        Settings may be shared; a mapping's own keys win over merged ones.
        """
        box = read(
            "name: b\ncount: 1\nparts:\n  one: &one {weight: 1, label: first}\n"
            "  two:\n    <<: *one\n    label: second\n  three: *one\n"
        )

        assert box.parts["two"] == Part(weight=1, label="second")
        assert box.parts["three"] == box.parts["one"]


class TestOneLinePerMistake:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("name: b\n", "1:1: count: required, and missing"),
            ("name: b\ncount: 3\nparts:\n  p: {label: x}", "4:3: parts.p.weight: required, and missing"),
            ("name: b\ncount: 0", "2:1: count: must be at least 1, got 0"),
            ("name: b\ncount: 11", "2:1: count: must be at most 10, got 11"),
            ("name: b\ncount: true", "2:1: count: must be a whole number, got true"),
            ("name: b\ncount: '3'", "2:1: count: must be a whole number, got '3'"),
            ("name: b\ncount: 3.0", "2:1: count: must be a whole number, got 3.0"),
            ("name: b\ncount:", "2:1: count: must be a whole number, got null"),
            ("name: b\ncount: [1]", "2:1: count: must be a whole number, got a list of 1"),
            ("name: b\ncount: 3\nclosed: yes", "3:1: closed: must be true or false, got 'yes'"),
            ("name: 3\ncount: 3", "1:1: name: must be text, got 3; put it in quotes"),
            (
                "name: B x\ncount: 3",
                "1:1: name: must be a name of at most 64 lower case letters, digits, - and _, ",
            ),
            ("name: b\ncount: 3\nkind: c", "3:1: kind: must be 'a' or 'b', got 'c'"),
            ("name: b\ncount: 3\ncolours: red", "3:1: colours: must be a list, got 'red'"),
            (
                "name: b\ncount: 3\ncolours: [red, green]",
                "3:16: colours.1: must be 'red' or 'blue', got 'green'",
            ),
            (
                "name: b\ncount: 3\ncolours: [red, red, red]",
                "3:1: colours: must have 2 or fewer, got a list of 3",
            ),
            ("name: b\ncount: 3\nparts: [1]", "3:1: parts: must be a mapping (key: value), got a list of 1"),
            ("name: b\ncount: 3\nparts: {p: 1}", "3:9: parts.p: must be a mapping (key: value), got 1"),
            ("name: b\ncount: 3\nparts: {p: {weight: -1}}", "3:13: parts.p.weight: must be above 0, got -1"),
            (
                "name: b\ncount: 3\nparts: {p: {weight: .nan}}",
                "3:13: parts.p.weight: must be a finite number, got nan",
            ),
            (
                "name: b\ncount: 3\nparts: {p: {weight: heavy}}",
                "3:13: parts.p.weight: must be a number, got 'heavy'",
            ),
            (
                "name: b\ncount: 3\nparts: {p: {weight: 1, settings: {x: [1]}}}",
                "3:35: parts.p.settings.x: must be true or false, a whole number, a number or text, got a "
                "list of 1",
            ),
            ("name: b\ncuont: 3\ncount: 3", "2:1: cuont: unknown key; did you mean 'count'?"),
            (
                "name: b\ncount: 3\nparts: {p: {weight: 1, wieght: 1}}",
                "3:24: parts.p.wieght: unknown key; did you mean 'weight'?",
            ),
            (
                "name: b\ncount: 3\nspares: [{weight: 1, wieght: 1}]",
                "3:22: spares.0.wieght: unknown key; did you mean 'weight'?",
            ),
            (
                "name: b\ncount: 3\nparts: {p: {weight: 1, zzz: 1}}",
                "3:24: parts.p.zzz: unknown key; known keys: label, settings, weight",
            ),
            ("name: b\ncount: 3\nfavourite: q", "3:1: favourite 'q' is not a part"),
        ],
    )
    def test_the_line(self, lines, text, line):
        """
        Place, key, rule, and what arrived, in the words of the file rather than of Python.
        """
        found = lines(text)

        assert len(found) == 1
        assert found[0].startswith(line)

    def test_all_mistakes_in_the_order_of_the_file(self, lines):
        """
        Three mistakes, three lines.
        """
        assert lines("zzz: 1\nname: b\ncount: x\nkind: c\n") == [
            "1:1: zzz: unknown key; known keys: closed, colours, count, favourite, kind, name, parts, spares",
            "3:1: count: must be a whole number, got 'x'",
            "4:1: kind: must be 'a' or 'b', got 'c'",
        ]

    def test_a_long_value_is_cut(self, lines):
        """
        What arrived is shown, not all of it.
        """
        assert len(lines(f"name: b\ncount: {'x' * 5000}")[0]) < 200


class TestNotYaml:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("", "1:1: the file is empty"),
            ("# nothing\n", "1:1: the file is empty"),
            ("~", "1:1: the file is empty"),
            ("3", "1:1: must be a mapping (key: value), got 3"),
            ("name: b\nname: c", "2:1: not valid YAML: key 'name' is given twice"),
            ("name: [", "1:8: not valid YAML: "),
            ("name: b\n\tcount: 3", "2:1: not valid YAML: "),
            ("name: b\n---\nname: c", "2:1: not valid YAML: but found another document"),
            ("? [a, b]\n: c", "1:3: not valid YAML: a key must be text"),
            (
                "name: !!python/object:os.system x",
                "1:7: not valid YAML: type 'tag:yaml.org,2002:python/object:os.system' is not allowed",
            ),
            ("name: !!set {a, b}", "1:7: not valid YAML: type "),
            ("name: !!int x", "1:7: not valid YAML: 'x' is not a whole number"),
            ("name: !!float x", "1:7: not valid YAML: 'x' is not a number"),
            ("name: *nowhere", "1:7: not valid YAML: found undefined alias"),
            ("parts: &a {p: *a}", "1:8: not valid YAML: the document contains itself"),
            ("name: \x00", " not valid YAML: unacceptable character #x0000"),
            ("name: " + "[" * 5000 + "]" * 5000, " not valid YAML: nested too deeply"),
        ],
    )
    def test_the_line(self, lines, text, line):
        """
        One line with the place; never a traceback.
        """
        found = lines(text)

        assert len(found) == 1
        assert found[0].startswith(line)

    def test_references_do_not_explode(self, lines):
        """
        Nine lists of nine references to the one before would be 387 million values.
        """
        text = "a0: &a0 [x]\n" + "".join(
            f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
        )

        assert lines(text) == ["1:1: not valid YAML: the document has more than 100000 values"]

    def test_not_text(self, read):
        """
        Bytes that are not UTF-8.
        """
        with pytest.raises(UserError, match=r"box\.yaml: cannot be read: not UTF-8 text"):
            read(b"name: \xff")

    def test_no_file(self, tmp_path):
        """
        A path that is not there, or is a folder.
        """
        with pytest.raises(UserError, match=r"absent\.yaml: no such file"):
            read_yaml(tmp_path / "absent.yaml", Box)
        with pytest.raises(UserError, match="cannot be read: Is a directory"):
            read_yaml(tmp_path, Box)

    @given(text=st.text(max_size=60))
    def test_any_text_is_a_document_or_a_refusal(self, tmp_path_factory, text):
        """
        No text makes it crash.
        """
        path = tmp_path_factory.mktemp("any") / "box.yaml"
        path.write_text(text, encoding="utf-8", errors="replace")

        assert is_document_or_refusal(path)

    @given(
        text=st.lists(
            st.sampled_from([*"[]{}:,&*!|>-?'\" \n", "a", "- ", ": ", "<<", "1", "&a", "*a"]), max_size=30
        )
    )
    def test_any_punctuation_is_a_document_or_a_refusal(self, tmp_path_factory, text):
        """
        No arrangement of YAML's punctuation makes it crash.
        """
        path = tmp_path_factory.mktemp("any") / "box.yaml"
        path.write_text("".join(text), encoding="utf-8")

        assert is_document_or_refusal(path)


class TestReadJson:
    def test_strict_but_friendly_to_lists(self, tmp_path):
        """
        A list becomes a tuple, text an enumeration; true never becomes 1.
        """
        path = tmp_path / "box.json"
        path.write_text('{"name": "b", "count": 3, "colours": ["red"]}')
        assert read_json(path, Box).colours == (Colour.RED,)

        path.write_text('{"name": "b", "count": true}')
        with pytest.raises(InvalidDocument, match=r"box\.json: count: must be a whole number, got true"):
            read_json(path, Box)

    def test_reads_back_what_was_written(self, tmp_path):
        """
        A contract's own JSON is a valid document.
        """
        box = Box(name="b", count=2, parts={"p": Part(weight=0.1 + 0.2)}, colours=(Colour.BLUE,))
        path = tmp_path / "box.json"
        path.write_text(box.model_dump_json())

        assert read_json(path, Box) == box

    @pytest.mark.parametrize("text", ["NaN", "[1, Infinity]", "{", "'a'", "[" * 100_000])
    def test_not_json(self, tmp_path, text):
        """
        What JSON does not have is refused with the path.
        """
        path = tmp_path / "document.json"
        path.write_text(text)

        with pytest.raises(InvalidDocument, match=r"document\.json: not valid JSON: "):
            json_document(path)


class TestStudyFile:
    def test_mistakes_of_a_study(self, tmp_path):
        """
        A study with five mistakes gets five lines, each with the place of its key.
        """
        path = tmp_path / "study.yaml"
        path.write_text(
            "study: My study\n"
            "task: nodule_malignancy\n"
            "dataset: lidc-nodules\n"
            "entropy: -1\n"
            "runs: yes\n"
            "vary: [weights, weather]\n"
            "methods:\n"
            "  a: {algorithm: x, setings: {}}\n"
            "compare: {baseline: b}\n"
        )

        with pytest.raises(InvalidDocument) as caught:
            read_yaml(path, Study)

        assert [line.removeprefix(f"{path}:") for line in caught.value.lines] == [
            "1:1: study: must be a name of at most 64 lower case letters, digits, - and _, "
            "a letter or digit first, got 'My study'",
            "4:1: entropy: must be at least 0, got -1",
            "5:1: runs: must be a whole number, got 'yes'",
            "6:17: vary.1: must be 'weights', 'order', 'augmentation', 'dropout', 'split' or "
            "'nondeterminism', got 'weather'",
            "8:21: methods.a.setings: unknown key; did you mean 'settings'?",
        ]

    def test_a_rule_about_two_keys(self, tmp_path):
        """
        It is placed at the key that it names first.
        """
        path = tmp_path / "study.yaml"
        path.write_text(
            "study: s\ntask: t\ndataset: d\nentropy: 340282366920938463463374607431768211455\nruns: 2\n"
            "methods:\n  a: {algorithm: x}\ncompare:\n  baseline: b\n"
        )

        with pytest.raises(InvalidDocument) as caught:
            read_yaml(path, Study)

        assert caught.value.lines == (f"{path}:9:3: compare.baseline 'b' is not a method; methods: a",)

    def test_entropy_of_128_bits_is_exact(self, tmp_path):
        """
        A large entropy is not rounded on its way.
        """
        path = tmp_path / "study.json"
        path.write_text(
            json.dumps(
                {
                    "study": "s",
                    "task": "t",
                    "dataset": "d",
                    "entropy": 2**128 - 1,
                    "runs": 2,
                    "methods": {"a": {"algorithm": "x"}},
                }
            )
        )

        assert read_json(path, Study).entropy == 2**128 - 1
