"""Methods that are one and the same under two names, as a setting left out by mistake makes them."""

from __future__ import annotations

from collections import defaultdict

from reseed.orchestration.plan import PlanInputs, method_settings


def same_methods(inputs: PlanInputs) -> list[tuple[str, ...]]:
    """Methods of the same algorithm, resolved settings and initial weights, together; not the others."""
    groups: dict[object, list[str]] = defaultdict(list)
    for method in inputs.study.methods:
        weights = inputs.initial_weights.get(method)
        settings = tuple(sorted((key, str(value)) for key, value in method_settings(inputs, method).items()))
        groups[(inputs.algorithm_of[method], settings, weights and weights.sha256)].append(method)
    return [tuple(methods) for methods in groups.values() if len(methods) > 1]


def same_method_lines(inputs: PlanInputs) -> list[str]:
    """What a person is told of them: it may be meant, and then it is a comparison of seeds alone."""
    return [
        f"methods {', '.join(methods[:-1])} and {methods[-1]} have the same algorithm and settings: "
        "only their seeds differ"
        for methods in same_methods(inputs)
    ]
