"""What the tests of scoring share."""

import pytest

from tests.scoring.submissions import write_submission


@pytest.fixture
def submitted(tmp_path):
    """A right submission and its reference standard."""
    return write_submission(tmp_path / "input", tmp_path / "ground_truth")
