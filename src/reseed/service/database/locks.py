"""The lock on a submission, which stands for its runs, cases, evaluations and jobs as well."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from reseed.service.database.models import Submission


def lock_submissions(
    session: Session, which: ColumnElement[bool], *, skip_locked: bool = False
) -> Sequence[UUID]:
    """
    Lock submissions until the transaction ends; on SQLite a writing transaction has the database to itself.

    On PostgreSQL rows are locked as they are written, and two transactions that write the same rows in
    different orders end in a deadlock. So whoever writes more of a submission than one row takes this lock
    before any other, and reads what depends on its parts after that.

    Parameters
    ----------
    session
        A writing transaction that has locked nothing of a submission yet.
    which
        The condition on submissions.
    skip_locked
        Leave out those that somebody else has locked, instead of waiting.

    Returns
    -------
    sequence of UUID
        The submissions that are locked now.
    """
    statement = select(Submission.pk).where(which).order_by(Submission.pk)
    return session.scalars(statement.with_for_update(key_share=True, skip_locked=skip_locked)).all()
