"""The commands compare, power and calibrate."""

import json

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import reseed
from reseed.cli.calibrate import calibrate
from reseed.cli.compare import compare
from reseed.cli.power import power
from reseed.contracts.errors import UserError
from tests.statistics.conftest import simulated_table


@pytest.fixture
def run():
    """Runs a command with arguments and returns what it printed; refusals come through."""

    def printed(command, *arguments):
        app = typer.Typer()
        app.command()(command)
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return printed


@pytest.fixture
def table(rng, tmp_path):
    path = tmp_path / "scores.csv"
    simulated_table(rng, [4, 4]).to_csv(path, index=False)
    return path


class TestCompare:
    def test_three_scopes_by_default(self, run, table, tmp_path):
        """Without a scope all three stand side by side, and the JSON holds them whole."""
        printed = run(compare, table, "--metric", "auroc", "--json", tmp_path / "out.json")
        document = json.loads((tmp_path / "out.json").read_text("utf-8"))

        for words in ("retrained, new patients", "retrained, these patients", "not retrained, new patients"):
            assert f"  {words} " in printed
        assert list(document) == ["population", "test_set", "trained_models"]
        expected = reseed.compare(pd.read_csv(table, dtype={"run": str}), metric="auroc").to_json()
        assert document["population"] == expected

    def test_one_scope_and_test(self, run, table):
        """A scope and a test can be named; a test alone names its scope."""
        by_scope = run(compare, table, "--metric", "auroc", "--scope", "test_set", "--test", "mann_whitney")
        by_test = run(compare, table, "--metric", "auroc", "--test", "mann_whitney")

        assert by_scope == by_test
        assert "new patients " not in by_scope.split("B")[-1]

    def test_one_run_each(self, run, table):
        """A table with one run each is compared as trained models, and says so."""
        frame = pd.read_csv(table)
        frame[frame["run"] == 0].to_csv(table, index=False)

        assert "not the methods" in run(compare, table, "--metric", "auroc", "--run-sd", "0.01")

    def test_a_refusal_is_one_line(self, run, table):
        """A wrong metric is refused with the names of the right ones."""
        with pytest.raises(UserError, match="unknown metric 'auc'; known: ") as refusal:
            run(compare, table, "--metric", "auc")
        assert "\n" not in str(refusal.value)

    def test_help_shows_examples(self, run):
        """The help says what the scopes mean and shows commands to copy."""
        printed = run(compare, "--help")

        assert "reseed compare scores.csv --metric auroc" in printed


class TestPower:
    def test_plan(self, run, table, tmp_path):
        """The plan prints its table and answer, and is written whole."""
        pair = ("--method", "A", "--method", "B", "--json", tmp_path / "plan.json")
        printed = run(power, table, "--metric", "auroc", "--difference", "0.1", *pair)

        assert "To see a true difference of .100 with 80 % power:" in printed
        assert json.loads((tmp_path / "plan.json").read_text("utf-8"))["difference"] == 0.1


class TestCalibrate:
    def test_real_retrainings(self, run, table, tmp_path):
        """A table of retrainings is split in all ways; JSON, table and charts are written."""
        arguments = (
            calibrate,
            "--table",
            table,
            "--metric",
            "auroc",
            "--out",
            tmp_path / "out",
            "--workers",
            1,
        )
        first, second = run(*arguments), run(*arguments)

        assert "5 retrainings · A split · auroc · 2 v 2 runs" in first
        assert first == second
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert {"calibration.json", "calibration.md", "calibration.svg", "calibration.png"} <= names

    def test_a_table_needs_a_metric(self, run, table, tmp_path):
        """A table without a metric is refused."""
        with pytest.raises(UserError, match="needs --metric"):
            run(calibrate, "--table", table, "--out", tmp_path)
