"""Studies and seeds: counts, baselines, and seed 0."""

import pytest
from pydantic import ValidationError

from reseed.contracts.containers import EvaluationPaths, TrainingPaths, member_folder
from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.job import JobState
from reseed.contracts.seeds import Seeds, SeedStream
from reseed.contracts.study import Study

STUDY = {
    "study": "s",
    "task": "t",
    "dataset": "d",
    "entropy": 0,
    "runs": 3,
    "methods": {"b": {"algorithm": "x", "runs": 5}, "a": {"algorithm": "x"}},
}


class TestStudy:
    def test_runs_and_baseline(self):
        """
        A method may have its own number of runs; the first method is the baseline.
        """
        study = Study.model_validate(STUDY)

        assert (study.n_runs("b"), study.n_runs("a"), study.baseline) == (5, 3, "b")

    @pytest.mark.parametrize(
        ("changed", "rule"),
        [
            ({"compare": {"baseline": "c"}}, r"compare\.baseline 'c' is not a method; methods: b, a"),
            ({"vary": ["weights", "weights"]}, "names a stream twice"),
            ({"vary": []}, "at least 1 item"),
            ({"methods": {}}, "at least 1 item"),
            ({"methods": {"a/b": {"algorithm": "x"}}}, "pattern"),
            ({"methods": {"a" * 41: {"algorithm": "x"}}}, "at most 40 characters"),
            ({"runs": 0}, "greater than or equal to 1"),
            ({"entropy": 2**128}, "less than"),
            ({"methds": {}}, "Extra inputs"),
        ],
    )
    def test_mistakes(self, changed, rule):
        """
        What cannot be run is refused when it is read.
        """
        with pytest.raises(ValidationError, match=rule):
            Study.model_validate({**STUDY, **changed})


class TestSeeds:
    def test_seed_zero_is_a_seed(self):
        """
        Every stream has a variable, and 0 is written like any other seed.
        """
        seeds = Seeds(weights=0, order=1, augmentation=2, dropout=3, split=2**32 - 1)

        assert seeds.environment() == {
            "RESEED_SEED_WEIGHTS": "0",
            "RESEED_SEED_ORDER": "1",
            "RESEED_SEED_AUGMENTATION": "2",
            "RESEED_SEED_DROPOUT": "3",
            "RESEED_SEED_SPLIT": "4294967295",
        }

    def test_every_stream_is_a_field(self):
        """
        No stream can be forgotten.
        """
        assert set(Seeds.model_fields) == {stream.value for stream in SeedStream}

    @pytest.mark.parametrize("seed", [-1, 2**32])
    def test_a_seed_that_some_library_would_refuse(self, seed):
        """
        32 bits, so that numpy, torch and random all take it as it is.
        """
        with pytest.raises(ValidationError):
            Seeds(weights=seed, order=1, augmentation=2, dropout=3, split=4)


class TestPlaces:
    def test_below_a_root(self, tmp_path):
        """
        In a container the root is /; as a plain process any folder.
        """
        assert str(TrainingPaths().model) == "/opt/ml/model"
        assert TrainingPaths(tmp_path).channel("training") == tmp_path / "opt/ml/input/data/training"
        assert EvaluationPaths(tmp_path).metrics == tmp_path / "output/metrics.json"
        assert EvaluationPaths(tmp_path).output_of("j", "a.json") == tmp_path / "input/j/output/a.json"
        assert member_folder(0) == "member-0"


class TestJobState:
    def test_what_is_over(self):
        """
        Queued and running are not.
        """
        assert [state for state in JobState if not state.is_terminal] == [JobState.QUEUED, JobState.RUNNING]


class TestDatasetManifest:
    def manifest(self, **files):
        """A manifest with these files."""
        counts = dict.fromkeys(
            ("n_training_cases", "n_training_patients", "n_test_cases", "n_test_patients"), 1
        )
        texts = dict.fromkeys(("title", "version", "licence", "citation", "source"), "x")
        return DatasetManifest(dataset="d", tasks=("t",), files=files, **counts, **texts)

    def test_digest_of_some_folders(self):
        """
        Training does not run again because a test file changed.
        """
        one = self.manifest(**{"training/a": "0" * 64, "test/b": "1" * 64})
        two = self.manifest(**{"training/a": "0" * 64, "test/b": "2" * 64})

        assert one.digest("training/") == two.digest("training/")
        assert one.digest() != two.digest()

    @pytest.mark.parametrize("name", ["/etc/passwd", "a/../../b"])
    def test_a_file_outside(self, name):
        """
        A manifest cannot name what is not in its folder.
        """
        with pytest.raises(ValidationError, match="lies outside the dataset folder"):
            self.manifest(**{name: "0" * 64})
