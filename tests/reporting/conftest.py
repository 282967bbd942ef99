"""What the tests of the report share: studies, laid out once."""

import pytest

from reseed.reporting import write_report
from tests.reporting.studies import FOUR_METHODS, TWO_METHODS, simulated_scores, write_study


@pytest.fixture(scope="session")
def two_methods(tmp_path_factory):
    """The folder of a study of two methods with eight runs each."""
    return write_study(tmp_path_factory.mktemp("two"), simulated_scores(TWO_METHODS))


@pytest.fixture(scope="session")
def four_methods(tmp_path_factory):
    """The folder of a study of four methods."""
    return write_study(tmp_path_factory.mktemp("four"), simulated_scores(FOUR_METHODS))


@pytest.fixture(scope="session")
def page(two_methods, tmp_path_factory):
    """The report on two methods."""
    return write_report(two_methods, tmp_path_factory.mktemp("page") / "report.html").read_text()


@pytest.fixture(scope="session")
def page_of_four(four_methods, tmp_path_factory):
    """The report on four methods."""
    return write_report(four_methods, tmp_path_factory.mktemp("page") / "report.html").read_text()
