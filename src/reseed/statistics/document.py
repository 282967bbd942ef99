"""A comparison as one JSON document, with the words of each conclusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reseed.statistics.design import cases_needed, runs_needed
from reseed.statistics.result import SCHEMA, Comparison, json_rows, json_value
from reseed.statistics.settings import Scope
from reseed.statistics.words import (
    TARGET_POWER,
    component_sentence,
    conclusion,
    false_claim_sentence,
    margin_sentence,
    method_sentence,
    power_sentence,
    run_sd_sentence,
    seen_difference,
)

if TYPE_CHECKING:
    from reseed.statistics.design import ErrorTerms


def comparison_document(result: Comparison) -> dict[str, Any]:
    """The document that `Comparison.to_json` describes."""
    settings, metric, scope = result.settings, result.metric, Scope(result.scope)
    return {
        "schema": SCHEMA,
        "metric": {"name": metric.name, "label": metric.label, "higher_is_better": metric.higher_is_better},
        "scope": scope.value,
        "scope_words": scope.words,
        "claim": scope.claim,
        "test": result.test,
        "alternative": settings.alternative,
        "confidence_level": settings.confidence_level,
        "adjust": settings.adjust,
        "covariance": settings.covariance,
        "baseline": settings.baseline,
        "margin": settings.margin,
        "n_cases": result.n_cases,
        "n_patients": result.n_patients,
        "methods": _methods(result, scope),
        "pairs": [_pair(result, scope, i) for i in range(len(result.pairs))],
        "variance": _variance(result),
        "false_claims": [
            {**row, "sentence": false_claim_sentence(row["method"], row["rate"])}
            for row in json_rows(result.false_claims)
        ],
        "ranks": json_rows(result.ranks),
        "overall": json_value(result.overall),
        "warnings": list(result.warnings),
    }


def _variance(result: Comparison) -> list[dict[str, Any]]:
    rows = result.variance.to_dict(orient="records")
    return [
        {**json_value(row), "sentence": component_sentence(row["component"], row["estimate"], row["share"])}
        for row in rows
    ]


def _methods(result: Comparison, scope: Scope) -> list[dict[str, Any]]:
    rows = []
    for row, rank in zip(result.methods.to_dict(orient="records"), json_rows(result.ranks), strict=True):
        own = result.runs[result.runs["method"] == row["method"]]
        rows.append(
            {
                **json_value(row),
                "rank": rank["rank"],
                "rank_low": rank["low"],
                "rank_high": rank["high"],
                "group": rank["group"],
                "sentence": method_sentence({str(k): v for k, v in row.items()}, result.metric, scope),
                "runs": json_rows(own[["run", "score"]]),
            }
        )
    return rows


def _pair(result: Comparison, scope: Scope, index: int) -> dict[str, Any]:
    settings = result.settings
    row = result.pairs.iloc[index].to_dict()
    detail = result.details.iloc[index].to_dict()
    names = (str(row["method"]), str(row["baseline"]))
    different = bool(row["p_adjusted"] <= settings.level)
    first_better = (row["difference"] > 0) == result.metric.higher_is_better
    said = conclusion(
        names,
        row["difference"],
        row["p_adjusted"],
        level=settings.level,
        higher_is_better=result.metric.higher_is_better,
        scope=scope,
    )
    margin = result.detail(index, "margin_")
    if margin is not None:
        margin["sentence"] = margin_sentence(names, margin, level=settings.level, scope=scope)
    with_sd = result.detail(index, "with_run_sd_")
    if with_sd is not None:
        with_sd["sentence"] = run_sd_sentence(with_sd)
    return {
        **json_value({str(key): value for key, value in row.items()}),
        **json_value(
            {key: detail[key] for key in ("superiority_low", "superiority_high", "smallest_p", "n_undefined")}
        ),
        "conclusion": said,
        "different": different,
        "better": (names[0] if first_better else names[1]) if different else None,
        "single_runs": json_value(result.detail(index, "single_")),
        "power": _power(result, index),
        "margin": json_value(margin),
        "with_run_sd": json_value(with_sd),
    }


def _power(result: Comparison, index: int) -> dict[str, Any] | None:
    terms: ErrorTerms | None = result.error_terms[index]
    if terms is None:
        return None
    pair = result.pairs.iloc[index]
    runs = int(min(pair["n_runs_method"], pair["n_runs_baseline"]))
    difference = seen_difference(result)
    unit = "patients" if result.n_patients is not None else "cases"
    return {
        "difference": difference,
        "power": TARGET_POWER,
        "runs_needed": runs_needed(terms, difference, power=TARGET_POWER),
        "cases_needed": cases_needed(terms, difference, runs, power=TARGET_POWER),
        "sentence": power_sentence(terms, difference, runs, unit),
    }
