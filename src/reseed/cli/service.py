"""`reseed service`: tables, backups, users and tokens of an installation."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from reseed.cli.commands import CONTEXT_SETTINGS
from reseed.cli.installation import installation_here
from reseed.contracts.errors import UserError
from reseed.orchestration.disk import bytes_text
from reseed.service.database.migration import migrate
from reseed.service.database.models import User
from reseed.service.domain.permissions import Scope
from reseed.service.installation import installation
from reseed.service.operations.backup.restoring import restore_backup
from reseed.service.operations.backup.taking import Header, take_backup
from reseed.service.operations.retention import keep_house
from reseed.service.security import accounts, tokens
from reseed.service.settings import settings_from

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look after an installation of the service: tables, backups, users, tokens.",
)
user_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Add users, change passwords, close accounts."
)
token_app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make, list and revoke tokens.")
app.add_typer(user_app, name="user")
app.add_typer(token_app, name="token")

Username = Annotated[str, typer.Argument(metavar="USERNAME")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, not the terminal.")
]


@app.command("migrate")
def migrate_tables() -> None:
    """Bring the database's tables to this version; SQLite's are also brought there by `reseed serve`."""
    revision = migrate(installation(settings_from(os.environ)).database)
    typer.echo(f"the database has the tables of revision {revision}")


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE.tar", help="The backup to write.")],
    with_cases: Annotated[
        bool,
        typer.Option("--with-cases", help="Also the phases' hidden cases, reference and training folders."),
    ] = False,
) -> None:
    """
    Write a backup of the database and of all files that it speaks of, while web and workers run.

    FILE.tar is there when it is whole, and not before. It holds password hashes and participants' images:
    keep it as carefully as the service itself, and RESEED_SECRET_KEY, which is not in it, elsewhere.

    For instance:

        reseed service backup /backups/reseed-$(date +%F).tar
    """
    taken = take_backup(installation_here(), file.absolute(), with_cases=with_cases)
    typer.echo(f"{file}: {bytes_text(taken.n_bytes)} in {taken.n_files} files, sha256 {taken.sha256}")
    typer.echo(_in_words(taken.header))
    if not with_cases and taken.header.counts.get("phase"):
        typer.echo("not in it: the phases' own folders, such as hidden cases (--with-cases)")
    for line in taken.missing:
        typer.echo(f"the data folder does not have {line}", err=True)


@app.command("restore")
def restore(file: Annotated[Path, typer.Argument(metavar="FILE.tar", help="A backup.")]) -> None:
    """
    Restore a backup into an empty data folder and an empty database; stop web and workers before.

    Every file is checked against its digest before anything counts. Older tables are brought to this
    version. Jobs that were under way are taken up again; deadlines are put off by the time that has passed.

    For instance:

        RESEED_DATA_DIR=service-again reseed service restore /backups/reseed-2026-03-01.tar
    """
    restored = restore_backup(installation(settings_from(os.environ)), file.absolute())
    typer.echo(f"restored {file}: {restored.n_files} files")
    typer.echo(_in_words(restored.header))
    for line in restored.notes:
        typer.echo(line)


@app.command("prune")
def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
) -> None:
    """
    Remove what was kept long enough (RESEED_RETENTION_DAYS), as workers do every hour by themselves.

    Outputs and logs of submissions that ended long ago; images and models that only submissions have used
    that were not evaluated. Never scores, metrics or the audit trail.

    For instance:

        reseed service prune --dry-run
    """
    here = installation_here()
    days = here.settings.retention_days
    found = keep_house(here.database, here.folder, retention_days=days, dry_run=dry_run)
    for removal in found:
        typer.echo(f"{bytes_text(removal.n_bytes):>9}  {removal.what}, {removal.why}")
    verb = "would go" if dry_run else "removed"
    total = bytes_text(sum(removal.n_bytes for removal in found))
    typer.echo(f"{verb}: {len(found)}, {total}" if found else "nothing to remove")


def _in_words(header: Header) -> str:
    counts = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in header.counts.items())
    return f"as of {header.created:%Y-%m-%d %H:%M:%S} UTC: {counts}"


@user_app.command("add")
def add_user(
    username: Username,
    email: Annotated[str | None, typer.Option(help="Where to reach the person.")] = None,
    administrator: Annotated[
        bool, typer.Option("--administrator", help="May do everything in every challenge.")
    ] = False,
    password_stdin: FromInput = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="For programs, which only use tokens.")
    ] = False,
) -> None:
    """
    Add a user.

    For instance:

        reseed service user add ada --administrator

        pwgen 20 1 | reseed service user add grace --password-stdin
    """
    here = installation_here()
    password = None if no_password else _asked_password(from_input=password_stdin)
    with here.database.write() as session:
        user = accounts.add_user(
            session, username, password=password, email=email, is_administrator=administrator
        )
    typer.echo(f"added {user.username}{', an administrator' if administrator else ''}")


@user_app.command("password")
def change_password(username: Username, password_stdin: FromInput = False) -> None:
    """Give a user another password; their log-ins end."""
    here = installation_here()
    password = _asked_password(from_input=password_stdin)
    with here.database.write() as session:
        accounts.set_password(session, accounts.named_user(session, username), password)
    typer.echo(f"{username} has another password")


@user_app.command("close")
def close_user(username: Username) -> None:
    """Close an account: no log-in and no token works any more. What the user submitted stays."""
    here = installation_here()
    with here.database.write() as session:
        accounts.close_account(session, accounts.named_user(session, username))
    typer.echo(f"closed the account of {username}")


@user_app.command("list")
def list_users() -> None:
    """List all users."""
    with installation_here().database.read() as session:
        for user in accounts.all_users(session):
            marks = [word for word, is_so in _marks(user).items() if is_so]
            typer.echo("  ".join([user.username, user.email or "", *marks]).rstrip())


def _marks(user: User) -> dict[str, bool]:
    return {"administrator": user.is_administrator, "closed": not user.is_active}


@token_app.command("create")
def create_token(
    username: Username,
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; repeat for several. By default read, submit.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=tokens.LONGEST.days, help="How long it is valid.")] = 90,
) -> None:
    """Make a token and show it, this once."""
    here = installation_here()
    with here.database.write() as session:
        user = accounts.named_user(session, username)
        _, secret = tokens.make_token(
            session,
            user,
            name=name,
            scopes=set(scope or (Scope.READ, Scope.SUBMIT)),
            valid_for=timedelta(days=days),
        )
    typer.echo(secret)


@token_app.command("list")
def list_tokens(username: Username) -> None:
    """List a user's tokens, without their secrets."""
    with installation_here().database.read() as session:
        user = accounts.named_user(session, username)
        for token in tokens.tokens_of(session, user):
            ends = "revoked" if token.revoked_at else f"until {token.expires_at:%Y-%m-%d}"
            typer.echo(f"…{token.hint}  {ends}  {','.join(token.scopes)}  {token.name}")


# what follows the user's name is never an option: a token may end in "-hx4"
@token_app.command("revoke", context_settings={**CONTEXT_SETTINGS, "allow_interspersed_args": False})
def revoke_token(
    username: Username,
    hint: Annotated[str, typer.Argument(metavar="LAST4", help="Its last characters, as listed.")],
) -> None:
    """Revoke a user's token; it ends at once."""
    with installation_here().database.write() as session:
        user = accounts.named_user(session, username)
        wanted = hint.lstrip("…")
        found = [token for token in tokens.tokens_of(session, user) if token.hint == wanted]
        if not found:
            raise UserError(f"{user.username} has no token that ends in {wanted!r}")
        for token in found:
            tokens.revoke(session, token, actor=None)
    typer.echo(f"revoked …{wanted}")


def _asked_password(*, from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
