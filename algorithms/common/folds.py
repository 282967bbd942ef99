"""Cross-validation folds by patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from algorithms.common.member import Member
from reseed.contracts.errors import UserError

FOLDS_OF_A_SINGLE_MODEL = 5


def fold_by_case(
    patients: Sequence[str], labels: Sequence[int], *, n_folds: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """
    The fold of each case: all cases of a patient share one, and folds have the same mixture.

    Patients are put in the order of their number of negative cases, then of positive ones, then by
    chance; each next `n_folds` of them are dealt to the folds in an order drawn anew.

    Parameters
    ----------
    patients, labels
        One for each case, labels 0 or 1.
    n_folds
        Two or more.
    rng
        Of the seed stream `split`.

    Raises
    ------
    UserError
        When there are fewer patients than folds.
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for patient, label in zip(patients, labels, strict=True):
        counts[patient][label] += 1
    if len(counts) < n_folds:
        raise UserError(f"{n_folds} folds need as many patients, got {len(counts)}")
    names = sorted(counts)
    chance = dict(zip(names, rng.permutation(len(names)).tolist(), strict=True))
    ordered = sorted(names, key=lambda patient: (*counts[patient], chance[patient]))
    fold: dict[str, int] = {}
    for start in range(0, len(ordered), n_folds):
        fold.update(zip(ordered[start : start + n_folds], rng.permutation(n_folds).tolist(), strict=False))
    return np.array([fold[patient] for patient in patients], dtype=np.int64)


def is_held_out(
    member: Member, patients: Sequence[str], labels: Sequence[int], *, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """
    Which cases the member is not trained on, whatever classes either side has.

    Member i of an ensemble of k holds out the i-th of k folds; a single model holds out a fifth.
    """
    n_folds = member.n_members if member.n_members > 1 else FOLDS_OF_A_SINGLE_MODEL
    folds = fold_by_case(patients, labels, n_folds=n_folds, rng=rng)
    held_out: npt.NDArray[np.bool_] = folds == member.index
    return held_out


def is_validation_case(
    member: Member, patients: Sequence[str], labels: Sequence[int], *, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """
    As `is_held_out`, with both classes on either side.

    Raises
    ------
    UserError
        When either side lacks a class: there is nothing to learn, or no AUC to choose by.
    """
    held_out = is_held_out(member, patients, labels, rng=rng)
    for side, chosen in (("validation", held_out), ("training", ~held_out)):
        classes = sorted(set(np.asarray(labels)[chosen].tolist()))
        if classes != [0, 1]:
            raise UserError(
                f"member {member.index} of {member.n_members}: the {side} cases must hold both classes, "
                f"got {int(chosen.sum())} cases of classes {classes}"
            )
    return held_out
