"""The base of all tables, and the column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, ForeignKey, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An instant; SQLite keeps it as UTC without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """An aware instant in UTC; a naive one is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant without a time zone: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """An aware instant in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JsonDocument = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON document; None is SQL's NULL."""

_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables; constraints have names, so that migrations can change them."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it from the class)
        datetime: UtcDateTime,
        dict[str, Any]: JsonDocument,
        list[str]: JsonDocument,
        str: Text,
        int: BigInteger,
    }


def now_utc() -> datetime:
    """The instant by the clock of this machine."""
    return datetime.now(UTC)


def state_column(kind: type[StrEnum]) -> Enum:
    """A column of a StrEnum: text in the database, and an unknown word there is an error."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=24,
        values_callable=lambda members: [member.value for member in members],
    )


def owned_by(table: str, *, nullable: bool = False, index: bool = True) -> Any:
    """A foreign key whose row goes with the row it names."""
    return mapped_column(ForeignKey(f"{table}.pk", ondelete="CASCADE"), nullable=nullable, index=index)


def refers_to(table: str, *, nullable: bool = False, index: bool = True) -> Any:
    """A foreign key to a row that cannot be removed while this one is there."""
    return mapped_column(ForeignKey(f"{table}.pk", ondelete="RESTRICT"), nullable=nullable, index=index)


Pk = Annotated[UUID, mapped_column(primary_key=True, default=uuid4)]


class Noun:
    """What every row of a noun has: a random identifier, and when it was made."""

    pk: Mapped[Pk]
    created: Mapped[datetime] = mapped_column(default=now_utc, index=True)


class Stateful:
    """
    What every noun with a lifetime has beside its state.

    `state_since` is the instant of the last step, `deadline` the one after which the reaper ends
    it, and `reason` says in a sentence why it is where it is. Only `transitions.transition` writes
    them.
    """

    reason: Mapped[str] = mapped_column(default="", server_default="")
    state_since: Mapped[datetime] = mapped_column(default=now_utc)
    deadline: Mapped[datetime | None] = mapped_column(index=True)
