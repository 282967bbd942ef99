"""The report as one HTML page: everything in it, nothing from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reseed.reporting.answer import MetricAnswer, metric_answer
from reseed.reporting.comparisons import Comparisons, MetricComparison, ScopeResult
from reseed.reporting.drawings import Drawing, difference_drawing, distribution_drawing
from reseed.reporting.result_tables import (
    DifferenceGroup,
    MethodRow,
    RankRow,
    SourceTable,
    VarianceRow,
    consequences,
    difference_groups,
    method_rows,
    rank_rows,
    source_tables,
    variance_rows,
)
from reseed.reporting.run_tables import (
    held_streams,
    method_runs,
    program_rows,
    setting_rows,
    varied_streams,
)
from reseed.reporting.study_records import RunKey, StudyRecords
from reseed.reporting.surroundings import (
    data_facts,
    footprint_facts,
    machine_facts,
    making_facts,
    packages,
)
from reseed.reporting.wording import (
    ADJUSTMENTS,
    INTERVAL_ENDINGS,
    SCOPE_MEANINGS,
    SHORT_DIGEST,
    count_text,
    level_text,
    list_text,
    sentence_text,
)

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class MetricPart:
    """All that the page says by one metric."""

    label: str
    answer: MetricAnswer
    warnings: tuple[str, ...]
    distribution: Drawing | None
    methods: tuple[MethodRow, ...]
    interval_words: str
    forest: Drawing | None
    differences: tuple[DifferenceGroup, ...]
    p_words: str
    variance: tuple[VarianceRow, ...]
    sources: tuple[SourceTable, ...]
    consequences: tuple[str, ...]
    ranks: tuple[RankRow, ...]
    scope_words: tuple[str, ...]


def report_page(comparisons: Comparisons, records: StudyRecords) -> str:
    """
    The whole page.

    Parameters
    ----------
    comparisons
        The conclusions, with their words.
    records
        The runs behind them; may be empty, and the page says so.

    Returns
    -------
    str
        HTML without a script, a request or a time of its own: the same study gives the same text.
    """
    parts = [
        _metric_part(metric, records.scores[metric.metric], place)
        for place, metric in enumerate(comparisons.metrics, start=1)
    ]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["short_digest_length"] = SHORT_DIGEST
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        style=Markup(style),  # noqa: S704  (our own file)
        study=comparisons.study,
        task=comparisons.task,
        title=comparisons.title,
        lede=lede(comparisons, records),
        level=level_text(comparisons.confidence_level),
        parts=parts,
        runs=method_runs(records),
        n_missing_runs=records.n_missing,
        n_other_runs=records.n_other,
        streams=[stream.value for stream in varied_streams(records)],
        held=held_streams(records),
        methods=records.methods,
        settings=setting_rows(records),
        programs=program_rows(records),
        data=data_facts(records),
        machine=machine_facts(records),
        footprint=footprint_facts(records),
        packages=packages(records),
        making=making_facts(records, comparisons.study),
        scopes=_scope_meanings(),
    )


def lede(comparisons: Comparisons, records: StudyRecords) -> str:
    """What was compared, in one sentence."""
    result = _first_result(comparisons)
    if result is None:
        runs = count_text(len(records.records), "run")
        return f"{runs} of {list_text(records.methods)}." if records.methods else "No runs."
    counts = sorted({row.n_runs for row in result.methods})
    times = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    trained = "trained once" if counts == [1] else f"trained {times} times"
    patients = f" of {count_text(result.n_patients, 'patient')}" if result.n_patients is not None else ""
    return (
        f"The training methods {list_text([row.method for row in result.methods])}, each {trained} and "
        f"scored on {result.n_cases} {comparisons.case_noun}{patients}."
    )


def _first_result(comparisons: Comparisons) -> ScopeResult | None:
    return next((result for metric in comparisons.metrics for result in metric.results), None)


def _scope_meanings() -> list[tuple[str, str]]:
    return [(scope.words[0].upper() + scope.words[1:], words) for scope, words in SCOPE_MEANINGS.items()]


def _metric_part(metric: MetricComparison, scores: dict[RunKey, float | None], place: int) -> MetricPart:
    first = metric.results[0] if metric.results else None
    warnings = dict.fromkeys(warning for result in metric.results for warning in result.warnings)
    return MetricPart(
        label=metric.label,
        answer=metric_answer(metric),
        warnings=tuple(sentence_text(warning) for warning in warnings),
        distribution=distribution_drawing(metric, scores, name=f"scores-{place}"),
        methods=method_rows(first) if first else (),
        interval_words=INTERVAL_ENDINGS[first.scope] if first else "",
        forest=difference_drawing(metric, name=f"differences-{place}"),
        differences=difference_groups(metric),
        p_words=_p_words(first) if first else "",
        variance=variance_rows(first) if first else (),
        sources=source_tables(metric),
        consequences=consequences(first) if first else (),
        ranks=rank_rows(metric),
        scope_words=tuple(result.scope_words for result in metric.results),
    )


def _p_words(result: ScopeResult) -> str:
    return f"p ({ADJUSTMENTS.get(result.adjust, result.adjust)})" if result.p_is_adjusted else "p"
