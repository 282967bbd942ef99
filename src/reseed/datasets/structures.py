"""What a source's dataset.json calls its label values, and whether a task means the same by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from reseed.contracts.errors import InvalidDataset
from reseed.contracts.evaluation import Detection
from reseed.contracts.task import Task

LESION_WORDS = (
    "tumour", "tumor", "lesion", "cancer", "carcinoma", "malign", "metasta", "neoplas", "pdac", "pca", "isup",
    "gleason",
)  # fmt: skip
"""A structure whose name has one of these in it can be a lesion."""


def names_after(task: Task, mapping: Mapping[int, int], names: Mapping[int, str]) -> dict[int, str]:
    """
    Names of the new values, as far as the source's still hold.

    What several structures become has a name of the task's, if its value has one there, else that of the
    structure which had the value before.
    """
    found: dict[int, set[str]] = defaultdict(set)
    for old, name in names.items():
        found[mapping.get(old, old)].add(name)
    after = {}
    for value, given in found.items():
        if len(given) == 1:
            after[value] = min(given)
        elif isinstance(task.evaluation, Detection) and value in names and value not in mapping:
            after[value] = names[value]
    return {value: name for value, name in after.items() if value != 0}


def refuse_other_structures(
    task: Task, mapping: Mapping[int, int], names: Mapping[int, str], *, where: str, option: str = "--label "
) -> None:
    """
    Refuse to take for a lesion what the source calls something else.

    A structure that is given the lesion's value by hand may be named as it likes, beside a lesion.

    Parameters
    ----------
    task
        Only a detection task has lesions.
    mapping
        New value of a label by the old one.
    names
        Of old values; empty when the source has none.
    where
        The source, for the message.
    option
        What the words of the advice begin with.

    Raises
    ------
    InvalidDataset
        One line, with the --label words that would put it right.
    """
    if not isinstance(task.evaluation, Detection) or not names:
        return
    after = {old: mapping.get(old, old) for old in names}
    wanted = _lesion_values(task.evaluation, after)
    lesions = {old for old, name in names.items() if _is_lesion(name)}
    hit = {old for old in lesions if after[old] in wanted}
    others = {old for old in names if after[old] in wanted and old not in lesions}
    wrong = {old for old in others if old not in mapping or not hit}
    if not wrong and (hit or not lesions):
        return
    values = " and ".join(map(str, sorted(wanted)))
    found = ", ".join(f"{value} is {names[value]!r}" for value in sorted(names))
    advice = _advice(task.evaluation, after, lesions, wrong, option)
    raise InvalidDataset(
        f"{where}: label {values} must be the lesion, which task {task.task} takes it for; in the source "
        f"{found}: {advice}"
    )


def _lesion_values(evaluation: Detection, after: Mapping[int, int]) -> set[int]:
    """The values that the evaluation takes for lesions: of those that are there, where it takes any."""
    if evaluation.lesion_labels is not None:
        return set(evaluation.lesion_labels)
    return set(after.values()) - {0, *evaluation.ignored_labels}


def _is_lesion(name: str) -> bool:
    return any(word in name.lower() for word in LESION_WORDS)


def _advice(
    evaluation: Detection, after: Mapping[int, int], lesions: set[int], wrong: set[int], option: str
) -> str:
    """The words that give lesions their value and another structure one that is ignored."""
    values = evaluation.lesion_labels or (1,)
    if not lesions:
        rule = f"give the lesion its value with {option}OLD={values[0]}"
        return f"{rule}, or a name with 'lesion' in it in the source's dataset.json"
    put_right = {**after, **{old: values[0] for old in lesions if after[old] not in values}}
    for old in sorted(wrong):
        taken = {value for key, value in put_right.items() if key not in wrong or key < old}
        put_right[old] = next((value for value in sorted(evaluation.ignored_labels) if value not in taken), 0)
    words = [f"{option}{old}={new}" for old, new in sorted(put_right.items()) if old != new]
    return f"say {' '.join(words)}"
