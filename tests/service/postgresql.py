"""A PostgreSQL cluster of the tests' own: made in a temporary folder, reached by its socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = Path("/usr/lib/postgresql/15/bin")


def is_installed() -> bool:
    return (_PROGRAMS / "initdb").is_file()


@contextmanager
def cluster() -> Iterator[str]:
    """A running server, as the folder of its socket; its superuser is `reseed`."""
    # a socket's path may have 107 characters: pytest's own folders are too deep
    folder = Path(tempfile.mkdtemp(prefix="reseed-pg-"))
    account = _account()
    data = folder / "data"
    try:
        if account is not None:
            shutil.chown(folder, account.pw_name)
        _run(account, "initdb", "-D", data, "-U", "reseed", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
        )
        _run(account, "pg_ctl", "start", "-D", data, "-w", "-l", folder / "log", "-o", options)
        try:
            yield str(folder)
        finally:
            _run(account, "pg_ctl", "stop", "-D", data, "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_database(socket_folder: str, name: str, template: str = "template0") -> str:
    """A new database of the cluster, as a URL."""
    _run(None, "createdb", "-h", socket_folder, "-U", "reseed", "-T", template, name)
    return f"postgresql+psycopg://reseed@/{name}?host={socket_folder}"


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("neither postgres nor nobody is a user here")


def _run(account: pwd.struct_passwd | None, program: str, *arguments: object) -> None:
    done = subprocess.run(
        [str(_PROGRAMS / program), *map(str, arguments)],
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        # a file, because the server keeps the descriptors of the command that starts it
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program}: {(done.stderr or b'').decode()}")
