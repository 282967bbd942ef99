"""Metrics by name: what they are called, which table they need, which direction is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from reseed.contracts.errors import UserError


class TableKind(StrEnum):
    """What one row of a table is."""

    VALUES = "values"  # a per-case value, such as Dice, that needs no reference
    CASES = "cases"  # a case with its score and its reference
    CANDIDATES = "candidates"  # a lesion candidate or a missed lesion


@dataclass(frozen=True)
class Metric:
    """
    A metric that has kernels, or a mean of several, or a function of the user's.

    `function(reference, score, weights)` gets arrays of one length and returns a float.
    """

    name: str
    label: str
    kind: TableKind | None
    higher_is_better: bool = True
    parts: tuple[Metric, ...] = ()
    function: Callable[..., float] | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that the metric can have; infinite where that is not known."""
        if self.parts:
            low, high = zip(*(part.bounds for part in self.parts), strict=True)
            return sum(low) / len(low), sum(high) / len(high)
        if self.kind in {TableKind.CASES, TableKind.CANDIDATES}:
            return 0.0, 1.0
        known = _VALUE_BOUNDS if self.kind is TableKind.VALUES else {}
        return known.get(self.name, (-math.inf, math.inf))


MetricLike: TypeAlias = str | Metric | Callable[..., float] | Sequence[str]

_VALUE_METRICS = {
    "mean": ("mean", True),
    "dsc": ("Dice", True),
    "dice": ("Dice", True),
    "nsd": ("normalised surface distance", True),
    "iou": ("IoU", True),
    "hd95": ("95 % Hausdorff distance", False),
    "masd": ("mean average surface distance", False),
    "assd": ("average symmetric surface distance", False),
}
_VALUE_BOUNDS = {
    **dict.fromkeys(("dsc", "dice", "nsd", "iou"), (0.0, 1.0)),
    **dict.fromkeys(("hd95", "masd", "assd"), (0.0, math.inf)),
}
_NAMED = {
    "auroc": Metric("auroc", "AUROC", TableKind.CASES),
    "ap": Metric("ap", "AP", TableKind.CASES),
    "case_auroc": Metric("case_auroc", "case AUROC", TableKind.CANDIDATES),
    "case_ap": Metric("case_ap", "case AP", TableKind.CANDIDATES),
    "lesion_ap": Metric("lesion_ap", "lesion AP", TableKind.CANDIDATES),
    "lesion_auroc": Metric("lesion_auroc", "lesion AUROC", TableKind.CANDIDATES),
    "fixed_lesion_ap": Metric("fixed_lesion_ap", "lesion AP", TableKind.CANDIDATES),
    **{
        name: Metric(name, label, TableKind.VALUES, higher_is_better=higher)
        for name, (label, higher) in _VALUE_METRICS.items()
    },
}
_PICAI_SCORE = Metric(
    "picai_score",
    "PI-CAI score",
    TableKind.CANDIDATES,
    parts=(_NAMED["case_auroc"], _NAMED["lesion_ap"]),
)
_KNOWN = {**_NAMED, _PICAI_SCORE.name: _PICAI_SCORE}
_AS_CANDIDATES = {"auroc": "case_auroc", "ap": "case_ap"}

METRIC_NAMES: tuple[str, ...] = tuple(_KNOWN)


def resolved_metric(metric: MetricLike) -> Metric:
    """
    The metric meant by a name, a mean of names, or a function.

    Parameters
    ----------
    metric
        A name of `METRIC_NAMES`; names joined by `+` (or a sequence of names) for their arithmetic
        mean; `mean:NAME` for the mean of any per-case value, `mean:NAME:lower` where lower is better;
        or a function `f(reference, score, weights)`, whose attribute `higher_is_better` may be False.

    Raises
    ------
    UserError
        If the name is unknown, or parts of a mean need different tables or disagree in direction.
    """
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return _function_metric(metric)
    if not isinstance(metric, str):
        return _mean_of(tuple(metric))
    if metric in _KNOWN:
        return _KNOWN[metric]
    if metric.startswith("mean:"):
        return _value_metric(metric)
    if "+" in metric:
        return _mean_of(tuple(part.strip() for part in metric.split("+")))
    raise UserError(
        f"unknown metric {metric!r}; known: {', '.join(METRIC_NAMES)}; "
        "'a+b' for the mean of two, 'mean:NAME' for any other per-case value"
    )


def _function_metric(function: Callable[..., float]) -> Metric:
    name = getattr(function, "__name__", type(function).__name__)
    higher: Any = getattr(function, "higher_is_better", True)
    return Metric(name, name, None, higher_is_better=bool(higher), function=function)


def _value_metric(name: str) -> Metric:
    _, label, *direction = name.split(":")
    if not label or direction not in ([], ["lower"], ["higher"]):
        raise UserError(f"metric {name!r} must read 'mean:NAME', 'mean:NAME:lower' or 'mean:NAME:higher'")
    return Metric(name, label, TableKind.VALUES, higher_is_better=direction != ["lower"])


def _mean_of(names: tuple[str, ...]) -> Metric:
    if len(names) < 2:
        raise UserError(f"a mean of metrics needs two or more names, got {len(names)}")
    parts = tuple(resolved_metric(name) for name in names)
    if any(part.kind is TableKind.CANDIDATES for part in parts):
        parts = tuple(
            _NAMED[_AS_CANDIDATES.get(part.name, part.name)] if not part.parts else part for part in parts
        )
    name = "+".join(names)
    kinds = {part.kind for part in parts}
    if len(kinds) != 1:
        raise UserError(f"metric {name!r} mixes per-case values with metrics that need a reference")
    if len({part.higher_is_better for part in parts}) != 1:
        raise UserError(
            f"metric {name!r} mixes metrics where higher is better with ones where lower is better"
        )
    label = f"mean of {' and '.join(part.label for part in parts)}"
    return Metric(name, label, parts[0].kind, higher_is_better=parts[0].higher_is_better, parts=parts)
