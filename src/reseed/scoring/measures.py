"""The metrics that a task of each kind may name: their titles, directions and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

RowKind: TypeAlias = Literal["cases", "values", "lesions"]
"""What a score table holds for a metric: a score per case, a value per case, or lesions of cases."""


@dataclass(frozen=True)
class Measure:
    """
    A metric as tasks name it.

    Attributes
    ----------
    title
        As it is called in results.
    rows
        Of which score table it is computed.
    higher_is_better
        None when neither is: such a metric is reported, and ranks nothing.
    statistic
        What `reseed compare` calls it; None when it cannot be compared.
    unit
        Empty for a pure number.
    """

    title: str
    rows: RowKind
    higher_is_better: bool | None = True
    statistic: str | None = None
    unit: str = ""


CLASSIFICATION: Mapping[str, Measure] = {
    "auroc": Measure("AUROC", "cases", statistic="auroc"),
    "ap": Measure("average precision", "cases", statistic="ap"),
    "sensitivity": Measure("sensitivity at the threshold", "cases"),
    "specificity": Measure("specificity at the threshold", "cases"),
    "brier": Measure("Brier score", "cases", higher_is_better=False),
    "ece": Measure("expected calibration error", "cases", higher_is_better=False),
}
LESION_CLASSIFICATION: Mapping[str, Measure] = {
    "case_auroc": Measure("case AUROC", "lesions", statistic="case_auroc"),
    "case_ap": Measure("case average precision", "lesions", statistic="case_ap"),
    "lesion_auroc": Measure("lesion AUROC", "lesions", statistic="lesion_auroc"),
    "fixed_lesion_ap": Measure("lesion average precision", "lesions", statistic="fixed_lesion_ap"),
}
DETECTION: Mapping[str, Measure] = {
    "case_auroc": Measure("case AUROC", "lesions", statistic="case_auroc"),
    "lesion_ap": Measure("lesion average precision", "lesions", statistic="lesion_ap"),
    "picai_score": Measure("PI-CAI score", "lesions", statistic="picai_score"),
    "froc": Measure("FROC score", "lesions"),
    "sensitivity_at_half_fp": Measure("lesion sensitivity at 0.5 false positives a case", "lesions"),
    "sensitivity_at_1_fp": Measure("lesion sensitivity at 1 false positive a case", "lesions"),
    "sensitivity_at_2_fp": Measure("lesion sensitivity at 2 false positives a case", "lesions"),
}
SEGMENTATION: Mapping[str, Measure] = {
    "dsc": Measure("Dice", "values", statistic="dsc"),
    "iou": Measure("IoU", "values", statistic="iou"),
    "nsd": Measure("normalised surface distance", "values", statistic="nsd"),
    "precision": Measure("precision", "values", statistic="mean:precision"),
    "recall": Measure("recall", "values", statistic="mean:recall"),
    "hd": Measure("Hausdorff distance", "values", False, "mean:hd:lower", "mm"),
    "hd95": Measure("95 % Hausdorff distance", "values", False, "hd95", "mm"),
    "masd": Measure("mean average surface distance", "values", False, "masd", "mm"),
    "assd": Measure("average symmetric surface distance", "values", False, "assd", "mm"),
    "volume_error_ml": Measure("absolute volume error", "values", False, "mean:volume_error_ml:lower", "ml"),
    "volume_difference_ml": Measure("volume difference", "values", None, unit="ml"),
    "relative_volume_difference": Measure("relative volume difference", "values", None),
}

MEASURES: Mapping[str, Mapping[str, Measure]] = {
    "classification": CLASSIFICATION,
    "lesion_classification": LESION_CLASSIFICATION,
    "segmentation": SEGMENTATION,
    "detection": DETECTION,
}
"""By the kind of evaluation, then by the key in metrics.json."""


def comparable(kind: str) -> list[str]:
    """The metrics of a kind of evaluation that runs can be compared by."""
    return [key for key, measure in MEASURES[kind].items() if measure.statistic is not None]


def measure_of(key: str) -> Measure | None:
    """
    The measure of a key in metrics.json, whatever the kind of evaluation; None for an unknown one.

    `dsc_anterior` is dsc of the label anterior.
    """
    known = {name: measure for kind in MEASURES.values() for name, measure in kind.items()}
    if key in known:
        return known[key]
    parent = max((name for name in SEGMENTATION if key.startswith(f"{name}_")), key=len, default=None)
    if parent is None:
        return None
    label = key.removeprefix(f"{parent}_")
    measure = SEGMENTATION[parent]
    direction = {True: "", False: ":lower", None: ""}[measure.higher_is_better]
    statistic = None if measure.statistic is None else f"mean:{key}{direction}"
    return Measure(f"{measure.title}, {label}", "values", measure.higher_is_better, statistic, measure.unit)
