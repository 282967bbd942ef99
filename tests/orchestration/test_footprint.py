"""What a study uses: measured, shared out, reckoned, estimated, and shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.footprint import Grounds, JobUse, Rates, StudyFootprint, Use, amount_text
from reseed.contracts.run import RunRecord
from reseed.documents.reading import read_json, read_yaml
from reseed.orchestration.executors.cpu_time import CpuTimes, tree_seconds
from reseed.orchestration.footprint.ledger import Account, Ledger
from reseed.orchestration.footprint.meter import Energy, split_by_counter
from reseed.orchestration.footprint.rates import EXAMPLE_RATES, gpu_rate, site
from reseed.orchestration.footprint.totals import Part, footprint_of

from .conftest import SmallProject

RATES = """\
title: Our cluster
date: 2026-01
currency: EUR
source: internal price list
per_core_hour: 0.01
core_power_w: 10
gpus: [{name: A100, per_hour: 0.5, power_w: 400}]
other_gpu: {name: other, per_hour: 0.2, power_w: 250}
grid_g_per_kwh: 20
grid_source: own hydroelectric plant
pue: 1.5
"""

BURN = "import time\nt = time.process_time()\nwhile time.process_time() - t < 0.4: pass\n"


def _typed(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, timeout=240, check=False, env={**os.environ, **environment},
    )  # fmt: skip


class TestLedger:
    def test_jobs_side_by_side_share_by_cpu_time(self):
        """Three quarters and one eighth of the machine's CPU time; the rest was somebody else's."""
        ledger = Ledger({"a": Account(1), "b": Account(1)})

        ledger.book(
            seconds=4, cpu_s={"a": 3.0, "b": 0.5}, machine_cpu_s=4.0, energy=Energy(4, cpu_kwh=8, ram_kwh=4)
        )

        (use_a, grounds), (use_b, _) = (ledger.accounts[key].use() for key in "ab")
        assert (use_a.cpu_kwh, use_a.ram_kwh) == pytest.approx((6, 3))
        assert (use_b.cpu_kwh, use_b.ram_kwh) == pytest.approx((1, 0.5))
        assert use_a.cpu_busy_hours == pytest.approx(3 / 3600)
        assert grounds is Grounds.MEASURED

    def test_energy_is_conserved(self):
        """However jobs come and go, they are never given more than the machine used."""
        ledger = Ledger({"a": Account(2)})
        ledger.book(seconds=1, cpu_s={"a": 2.0}, machine_cpu_s=1.9, energy=Energy(1, cpu_kwh=1))
        ledger.accounts["b"] = Account(1)
        ledger.book(seconds=1, cpu_s={"a": 3.0, "b": 1.0}, machine_cpu_s=2.0, energy=Energy(1, cpu_kwh=1))

        assert sum(account.cpu_kwh for account in ledger.accounts.values()) == pytest.approx(2)

    def test_a_gpu_goes_to_whom_it_was_given(self):
        """By slot; two jobs on one GPU take half each, of its energy and of its hours."""
        ledger = Ledger({"a": Account(1, (0,)), "b": Account(1, (1,)), "c": Account(1, (1,))})

        ledger.book(
            seconds=3600, cpu_s={"a": 0, "b": 0, "c": 0}, machine_cpu_s=0,
            energy=Energy(3600, gpu_kwh=(0.3, 0.4)),
        )  # fmt: skip

        uses = [ledger.accounts[key].use()[0] for key in "abc"]
        assert [use.gpu_kwh for use in uses] == pytest.approx([0.3, 0.2, 0.2])
        assert [use.gpu_hours for use in uses] == pytest.approx([1, 0.5, 0.5])

    def test_what_was_not_measured_is_as_what_was(self):
        """Twice the measured part when half was missed; nothing at all leaves it to a model."""
        ledger = Ledger({"a": Account(1)})
        ledger.book(seconds=2, cpu_s={"a": 2.0}, machine_cpu_s=2, energy=None)
        assert ledger.accounts["a"].use()[1] is Grounds.MODELLED

        ledger.book(seconds=2, cpu_s={"a": 4.0}, machine_cpu_s=2, energy=Energy(2, cpu_kwh=1))

        use, grounds = ledger.accounts["a"].use()
        assert grounds is Grounds.EXTRAPOLATED
        assert use.cpu_kwh == pytest.approx(2)

    def test_a_program_that_cannot_be_seen_keeps_its_cores_busy(self):
        """It shares as if it did, and its CPU time is not known."""
        ledger = Ledger({"a": Account(2), "b": Account(1)})

        ledger.book(seconds=1, cpu_s={"a": None, "b": 1.0}, machine_cpu_s=3.0, energy=Energy(1, cpu_kwh=3))

        assert ledger.accounts["a"].cpu_kwh == pytest.approx(2)
        assert ledger.accounts["a"].use()[0].cpu_busy_hours is None

    def test_split_by_counter(self):
        """The total is kept; counters that stand still share equally."""
        assert split_by_counter(6.0, {0: 1.0, 1: 2.0}) == pytest.approx((2.0, 4.0))
        assert split_by_counter(6.0, {0: 0.0, 2: 0.0}) == pytest.approx((3.0, 0.0, 3.0))
        assert split_by_counter(0.0, {}) == ()


class TestCpuTime:
    def test_a_whole_tree_in_the_end(self):
        """A shell's child counts once it has been waited for: both programs' times, from the kernel."""
        command = ["/bin/sh", "-c", f'"{sys.executable}" -c "$0"; "{sys.executable}" -c "$0"', BURN]
        child = subprocess.Popen(command)
        times = CpuTimes()
        deadline = time.monotonic() + 120
        while not times.has_ended(child):
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert child.returncode == 0
        assert 0.8 <= (times.seconds(child.pid) or 0) < 5
        assert times.has_ended(child)

    def test_a_whole_tree_while_it_runs(self):
        """Descendants are seen before they end."""
        forever = "import time\nwhile True: sum(range(1000))\n"
        child = subprocess.Popen(["/bin/sh", "-c", f'"{sys.executable}" -c "$0"; true', forever])
        try:
            deadline = time.monotonic() + 120
            while (tree_seconds(child.pid) or 0) < 0.3:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
                os.kill(int(pid), 9)
            child.wait()
        assert tree_seconds(child.pid) is None


class TestRates:
    def test_example_rates_say_what_they_are(self):
        """Nobody takes them for prices of their own."""
        assert read_yaml(EXAMPLE_RATES, Rates).source.startswith("assumption")

    @pytest.mark.parametrize(
        ("driver_name", "rate"),
        [
            ("NVIDIA A100-SXM4-40GB", "A100"),
            ("NVIDIA A100 80GB PCIe", "A100 PCIe"),
            ("NVIDIA H100 80GB HBM3", "H100"),
            ("NVIDIA H100 PCIe", "H100 PCIe"),
            ("NVIDIA GeForce RTX 2080 Ti", "RTX 2080 Ti"),
            ("NVIDIA GeForce RTX 2080", "other"),
            ("NVIDIA L40S", "L40S"),
            ("NVIDIA L4", "L4"),
            ("Tesla T4", "T4"),
            ("Tesla V100-SXM2-32GB", "V100"),
        ],
    )
    def test_gpus_by_the_names_of_drivers(self, driver_name: str, rate: str):
        """All words of a rate must be in the name; the longest such rate counts."""
        assert gpu_rate(read_yaml(EXAMPLE_RATES, Rates), driver_name).name == rate

    def test_hand_worked(self, tmp_path: Path):
        """2 h on 4 cores and one A100: 8 × .01 + 2 × .5 EUR; 1 kWh × 1.5 × 20 g."""
        (tmp_path / "rates.yaml").write_text(RATES)
        ours = site(rates=tmp_path / "rates.yaml")
        use = Use(wall_hours=2, cpu_hours=8, gpu_hours=2, cpu_kwh=0.25, gpu_kwh=0.5, ram_kwh=0.25)

        found = footprint_of(ours, [Part(use, "NVIDIA A100-SXM4-40GB", Grounds.MEASURED)])

        assert found.cost == pytest.approx(1.08)
        assert found.kwh == pytest.approx(1.5)
        assert found.co2_kg == pytest.approx(0.03)
        assert found.words == "2.0 GPU hours, 8.0 CPU hours, 1.5 kWh, 0.03 kg CO2, 1.1 EUR"
        assert ours.grid.source == "own hydroelectric plant"

    def test_a_sum_is_as_firm_as_its_weakest_part(self):
        """And every part has the rate of its own GPU."""
        parts = [
            Part(Use(gpu_hours=1), "NVIDIA A100-SXM4-40GB", Grounds.MEASURED),
            Part(Use(gpu_hours=1), "Tesla T4", Grounds.EXTRAPOLATED),
        ]
        found = footprint_of(site(), parts)

        assert found.grounds is Grounds.EXTRAPOLATED
        assert found.cost == pytest.approx(2.25 + 0.45)

    def test_electricity(self):
        """By country, by the world without one; an unknown country is named."""
        assert 200 < site(country="nld").grid.g_per_kwh < 350
        assert site(country="NOR").grid.g_per_kwh < 60 < site().grid.g_per_kwh == 475
        with pytest.raises(UserError, match="three letters such as NLD, got 'Holland'"):
            site(country="Holland")

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0, "0"), (0.00021, "2.1e-04"), (0.0017, "0.0017"), (4.26, "4.3"), (4000.4, "4000")],
    )
    def test_amounts(self, value: float, text: str):
        """A small amount is never 0."""
        assert amount_text(value) == text


METER = """
import socket, sys, time

def refuse(*arguments, **options):
    sys.stdout.write(f"network: {arguments[1:]}\\n")
    raise OSError("no network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from reseed.orchestration.footprint.meter import EnergyMeter
meter = EnergyMeter()
assert meter.ready(120), meter.why_not
time.sleep(0.3)
found = meter.read()
assert found is not None and found.cpu_kwh > 0 and found.ram_kwh > 0 and 0.2 < found.seconds, found
print(meter.measuring().tool.split(",")[1].strip())
meter.stop()
assert meter.read() is None
"""


def test_measuring_asks_nobody(tmp_path: Path):
    """
    Energy is read without a network, without a word on the terminal and without a file, also where a user's
    configuration of codecarbon would have it send everything.
    """
    (tmp_path / ".codecarbon.config").write_text(
        "[codecarbon]\nsave_to_api = true\napi_key = x\nemissions_endpoint = http://127.0.0.1:9\n"
        "electricitymaps_api_token = y\nsave_to_file = true\noutput_methods = api,csv\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", METER], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "HOME": str(tmp_path), "CODECARBON_SAVE_TO_API": "true"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == "offline tracker\n"
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == [".codecarbon.config"]


METHODS = {"two": {"algorithm": "logistic", "settings": {"features": 2, "n_steps": 30, "step_s": 0.1}}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(study file, STUDY_DIR) of a study whose trainings sleep long enough to be measured."""
    from .conftest import small_project

    place = tmp_path_factory.mktemp("footprint")
    study = small_project(place / "project").study(methods=METHODS, runs=2, members=1)
    done = _typed("run", study, "--country", "NLD", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "\nfootprint: " in done.stdout
    return study, place / "small"


class TestStudy:
    def test_every_job_and_the_study(self, finished: tuple[Path, Path]):
        """Jobs add up to the study, runs to their jobs; the electricity is the country's."""
        folder = finished[1]
        whole = read_json(folder / "footprint.json", StudyFootprint)
        uses = [read_json(path, JobUse) for path in folder.glob("jobs/*/footprint.json")]

        assert whole.n_recorded == whole.n_jobs == len(uses) == 8
        assert whole.total.use.cpu_hours == pytest.approx(sum(use.total.cpu_hours for use in uses))
        assert whole.total.kwh == pytest.approx(sum(part.kwh for part in whole.by_kind.values()))
        assert whole.total.kwh == pytest.approx(sum(part.kwh for part in whole.by_method.values()))
        assert whole.grid.country == "NLD"
        assert whole.measuring is not None
        record = read_json(folder / "runs/two/0/run.json", RunRecord)
        assert record.footprint is not None
        assert 0 < record.footprint.kwh < whole.total.kwh
        assert record.footprint.g_per_kwh == whole.grid.g_per_kwh
        assert whole.total.words in (folder / "report.html").read_text()

    def test_results_know_nothing_of_it(self, finished: tuple[Path, Path]):
        """Energy differs from repeat to repeat: it stays out of what must be the same bytes."""
        assert "kwh" not in (finished[1] / "comparisons.json").read_text().lower()

    def test_before_from_what_was_measured(self, finished: tuple[Path, Path], tmp_path: Path):
        """A larger study of the same method is estimated from the finished one's jobs."""
        study, folder = finished
        larger = study.with_name("larger.yaml")
        larger.write_text(study.read_text().replace("runs: 2", "runs: 20"))

        said = _typed("plan", larger, "--out", folder, cwd=tmp_path)

        whole = read_json(folder / "footprint.json", StudyFootprint)
        line = next(line for line in said.stdout.splitlines() if line.startswith("a reproduction would cost"))
        assert "(from measured jobs of the same method)" in line
        hours = float(line.removeprefix("a reproduction would cost ").split(" CPU hours")[0])
        training = whole.by_kind["train"].use.cpu_hours
        assert 10 * training * 0.8 < hours < 10 * whole.total.use.cpu_hours * 1.2

    def test_before_from_declared_hours(self, project: SmallProject, tmp_path: Path):
        """4 trainings of 10 h on an A100: 40 GPU hours, by rated power and the price of the table."""
        manifest = project.root / "algorithms/logistic/manifest.yaml"
        manifest.write_text(manifest.read_text() + "expected:\n  train: {hours: 10, gpu: A100}\n")
        (tmp_path / "rates.yaml").write_text(RATES)

        said = _typed(
            "run", project.study(methods=METHODS, members=2), "--dry-run", cwd=tmp_path,
            RESEED_RATES="rates.yaml",
        )  # fmt: skip

        assert said.returncode == 0, said.stderr
        # 40 h × (400 W + 10 W) × 1.5; 40 × .5 + 40 × .01 EUR
        assert (
            "a reproduction would cost 40.0 GPU hours, 40.0 CPU hours, 24.6 kWh, 0.49 kg CO2, 20.4 EUR (from "
            "declared hours and rated power, without 1 preprocess, 2 predict, 2 score, 1 compare)"
        ) in said.stdout
        assert "prices: Our cluster, 2026-01 (internal price list)" in said.stdout
        assert not (tmp_path / "small").exists()

    def test_before_from_nothing(self, project: SmallProject, tmp_path: Path):
        """The line says that it is not known, and what would make it known."""
        said = _typed("plan", project.study(), cwd=tmp_path)

        assert "a reproduction would cost: not known; no job of it was measured" in said.stdout

    def test_what_is_damaged_is_not_recorded(self, finished: tuple[Path, Path], tmp_path: Path):
        """A footprint that cannot be read is no reason to stop a study."""
        study, folder = finished
        copy = shutil.copytree(folder, tmp_path / "copy")
        next(copy.glob("jobs/*/footprint.json")).write_text("{")

        again = _typed("run", study, "--out", copy, cwd=tmp_path)

        assert again.returncode == 0, again.stderr
        assert "1 of 8 jobs not recorded" in again.stdout

    def test_rates_that_break_their_contract(self, project: SmallProject, tmp_path: Path):
        """One line with its place."""
        (tmp_path / "rates.yaml").write_text(RATES.replace("currency: EUR", "currency: euro"))

        said = _typed("plan", project.study(), "--rates", "rates.yaml", cwd=tmp_path)

        assert said.returncode == 2
        assert "rates.yaml:3:1: currency:" in said.stderr
