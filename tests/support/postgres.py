"""A real PostgreSQL for tests: Debian's server on a socket of its own, started once, with a fresh database for each test.

For programs that cannot use a socket it also listens on a port, where it asks for passwords.

The server refuses to run as root, so as root it is started as the user `postgres` that Debian's package made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from support import parts

_numbers = itertools.count(1)


class Postgres:
    """A running server, reached through a Unix socket in its own folder."""

    def __init__(self, folder: Path, user: str, port: int) -> None:
        self.folder = folder
        self.user = user
        self.port = port

    def create(self, name: str) -> None:
        self._sql(f'CREATE DATABASE "{name}"')

    def fresh_url(self) -> str:
        """The settings URL of a new, empty database."""
        name = f"clew_{os.getpid()}_{next(_numbers)}"
        self.create(name)
        return f"postgresql://{self.user}@/{name}?host={self.folder}"

    def copy_url(self, url: str) -> str:
        """The settings URL of a new copy of a database that nobody is connected to: quicker than migrating again."""
        original = urlsplit(url).path.removeprefix("/")
        name = f"{original}_copy_{next(_numbers)}"
        self._sql(f'CREATE DATABASE "{name}" TEMPLATE "{original}"')
        return url.replace(f"/{original}?", f"/{name}?")

    def _sql(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(
            f"host={self.folder} port={self.port} user={self.user} dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(statement)  # type: ignore[arg-type]


@contextlib.contextmanager
def running(*, port: int | None = None) -> Iterator[Postgres]:
    """Start a server, also on this port of the loopback address; skips the test where Debian's package is missing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else parts.require("initdb", "postgresql")
    bin_ = Path(initdb).parent
    as_root = os.geteuid() == 0
    user = "postgres" if as_root else pwd.getpwuid(os.geteuid()).pw_name
    # A short path: the name of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="clew-pg-", dir="/tmp"))
    switch = ["runuser", "-u", user, "--"] if as_root else []
    if as_root:
        shutil.chown(folder, user, user)
    data = folder / "data"

    def run(*command: str) -> None:
        done = subprocess.run([*switch, *command], capture_output=True, text=True, cwd=folder, timeout=60)
        assert done.returncode == 0, done.stderr + done.stdout

    try:
        run(initdb, "-D", str(data), "-U", user, "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync",
            "--encoding=UTF8", "--locale=C.UTF-8")  # fmt: skip
        listen = f"-c listen_addresses=127.0.0.1 -p {port}" if port else "-c listen_addresses="
        options = f"{listen} -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
        run(str(bin_ / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield Postgres(folder, user, port or 5432)
        finally:
            run(str(bin_ / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
