"""Long lists in pages, as the platform has them: count, next, previous, results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session
from starlette.datastructures import URL

from reseed.service.api.asking import InstallationHere

Item = TypeVar("Item")
Row = TypeVar("Row")

DEFAULT_LIMIT = 100
MAXIMUM_LIMIT = 1000


class Page(BaseModel, Generic[Item]):
    """A part of a list, and where the parts before and after it are."""

    count: int
    next: str | None
    previous: str | None
    results: list[Item]


@dataclass(frozen=True)
class Paging:
    """Which part of a list is asked for, and the address it was asked for at."""

    limit: int
    offset: int
    url: str

    def page(self, session: Session, statement: Select[Row], shape: Callable[[Row], Item]) -> Page[Item]:
        """That part of the rows of a statement, each in its JSON shape."""
        count = session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
        rows = session.scalars(statement.limit(self.limit).offset(self.offset)).unique()
        behind = self.offset + self.limit
        return Page(
            count=count,
            next=self._at(behind) if behind < count else None,
            previous=self._at(max(0, self.offset - self.limit)) if self.offset > 0 else None,
            results=[shape(row) for row in rows],
        )

    def _at(self, offset: int) -> str:
        return str(URL(self.url).include_query_params(limit=self.limit, offset=offset))


def _paging(
    request: Request,
    installation: InstallationHere,
    limit: Annotated[int, Query(ge=1, le=MAXIMUM_LIMIT)] = DEFAULT_LIMIT,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Paging:
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{installation.settings.base_url}{request.url.path}{query}"
    return Paging(limit=limit, offset=offset, url=url)


PagingHere = Annotated[Paging, Depends(_paging)]

AnyPage = Page[Any]
