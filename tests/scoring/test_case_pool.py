"""Cases in parallel: in order, few at a time, and every end of a process told."""

import os

import pytest

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.scoring.case_pool import available_processors, results_in_order


class CountedCases(list):
    """Cases that count how many have been taken."""

    taken = 0

    def __iter__(self):
        for case in super().__iter__():
            self.taken += 1
            yield case


def refused_at_three(case):
    """A function with a refusal."""
    if case == 3:
        raise UserError("case 3 is refused")
    return case


def killed(case):
    """A function whose process is killed, as for its memory."""
    os.kill(os.getpid(), 9)


class TestResultsInOrder:
    def test_few_at_a_time(self):
        """
        However many cases there are, no more are taken than processes and one, and as many as are done.
        """
        cases = CountedCases(range(200))
        results = results_in_order(abs, cases, n_processes=2)

        for n_done in range(1, 20):
            assert next(results) == n_done - 1
            assert cases.taken <= n_done + 3
        results.close()

    @pytest.mark.parametrize("n_processes", [1, 2])
    def test_an_exception_ends_it(self, n_processes):
        """
        After the results before it, in their order.
        """
        results = results_in_order(refused_at_three, list(range(9)), n_processes=n_processes)

        assert [next(results), next(results), next(results)] == [0, 1, 2]
        with pytest.raises(UserError, match="case 3 is refused"):
            next(results)

    def test_a_killed_process(self):
        """
        Is not waited for, and not taken for the submission's fault.
        """
        with pytest.raises(InfrastructureError, match="a process was killed after 0 of 9 cases"):
            list(results_in_order(killed, list(range(9)), n_processes=2))

    def test_of_nothing(self):
        """
        No case, no result.
        """
        assert list(results_in_order(abs, [])) == []

    def test_processors(self):
        """
        At least one, and no more than there are.
        """
        assert 1 <= available_processors() <= (os.cpu_count() or 1)
