"""predictions.json: what a job needs, and identifiers that are safe as folder names."""

import pytest
from pydantic import ValidationError

from reseed.contracts.predictions import prediction_jobs

JOB = {"pk": "0f3a-1", "inputs": [], "outputs": [], "status": "Succeeded"}


class TestPredictionJobs:
    def test_unknown_keys_are_a_platforms_own(self):
        """
        A platform adds keys whenever it likes.
        """
        (job,) = prediction_jobs([{**JOB, "api_url": "https://x", "started_at": None}])

        assert job.pk == "0f3a-1"

    @pytest.mark.parametrize("pk", ["..", "../a", "a/b", "", ".hidden", "a\n", "a" * 129, 3, None])
    def test_an_identifier_that_is_no_folder_name(self, pk):
        """
        It becomes part of a path: nothing that leads elsewhere.
        """
        with pytest.raises(ValidationError):
            prediction_jobs([{**JOB, "pk": pk}])

    @pytest.mark.parametrize("key", ["pk", "inputs", "outputs"])
    def test_a_key_that_is_missing(self, key):
        """
        Without it the job cannot be used.
        """
        with pytest.raises(ValidationError, match="Field required"):
            prediction_jobs([{name: value for name, value in JOB.items() if name != key}])
