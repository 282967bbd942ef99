"""AdamW, validation AUC, and what torch loads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from algorithms.common.adamw import AdamW
from algorithms.common.determinism import repeatable_computation
from algorithms.common.validation import area_under_roc
from reseed.contracts.errors import UserError


class TestAdamW:
    def test_as_torch_computes_it(self):
        """
        Thirty steps lead where torch.optim.AdamW leads.
        """
        start, target = torch.linspace(-2, 3, 12).reshape(3, 4), torch.ones(3, 4)
        ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
        optimiser = AdamW({"w": ours}, weight_decay=0.1)
        other = torch.optim.AdamW([theirs], lr=0.05, weight_decay=0.1)

        for _ in range(30):
            ((ours - target) ** 3).sum().backward()
            optimiser.step(0.05)
            other.zero_grad()
            ((theirs - target) ** 3).sum().backward()
            other.step()

        torch.testing.assert_close(ours, theirs)
        assert not torch.equal(ours, start)

    def test_state_goes_on(self):
        """
        A copy that takes up the state makes the same next step.
        """
        first, second = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
        one = AdamW({"w": first}, weight_decay=0.0)
        first.sum().backward()
        one.step(0.1)
        other = AdamW({"w": second}, weight_decay=0.0)
        other.restore({name: value.clone() for name, value in one.state().items()}, one.n_steps)
        second.data.copy_(first.data)

        for parameter, optimiser in ((first, one), (second, other)):
            (parameter**2).sum().backward()
            optimiser.step(0.1)

        assert torch.equal(first, second)


class TestAreaUnderRoc:
    def test_second_source(self):
        """
        Equal to scikit-learn's, with ties.
        """
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, 200)
        scores = rng.integers(0, 9, 200).astype(np.float64)

        assert area_under_roc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))

    def test_one_class(self):
        """
        Undefined without both classes.
        """
        assert np.isnan(area_under_roc(np.array([1, 1]), np.array([0.0, 1.0])))


class TestRepeatableComputation:
    @pytest.mark.parametrize("text", ["0", "-1", "many"])
    def test_threads(self, text):
        """
        A thread count that is none is refused.
        """
        with pytest.raises(UserError, match="OMP_NUM_THREADS must be a whole number from 1"):
            repeatable_computation({"OMP_NUM_THREADS": text})

    def test_compiler_stays_out(self):
        """
        Setting up and stepping loads neither torch's compiler nor scipy nor pandas: a training of
        five seconds cannot spend three on imports.
        """
        program = """
import sys
import algorithms.nodule_malignancy.train, torch
from algorithms.common.adamw import AdamW
from algorithms.common.determinism import repeatable_computation
assert repeatable_computation({}).deterministic_algorithms
w = torch.nn.Parameter(torch.ones(2))
w.sum().backward()
AdamW({"w": w}, weight_decay=0.1).step(0.1)
unwanted = ("torch._dynamo", "torch._inductor", "sympy", "scipy", "pandas")
print([name for name in unwanted if name in sys.modules])
"""
        finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

        assert finished.stdout == "[]\n"
