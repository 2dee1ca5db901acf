"""A PostgreSQL server of the lab's own: made, seeded and started in a folder, on a free loopback port."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from app.lab.processes import Child, ChildFailed, Family, free_port
from app.lab.schema import ROLES, postgres_statements, seed_rows
from app.lab.world import World

OWNER = "shop_owner"
PREFIX = "clew-lab-pg-"
READY_S = 60.0
# The rows are sample data, made anew at each start: durability would only slow the demo down.
SERVER_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60",
                  "shared_buffers=32MB", "jit=off", "autovacuum=off", "logging_collector=off")  # fmt: skip


def binaries() -> Path | None:
    """The folder with initdb and postgres, newest version first; None where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/usr/lib/postgresql")
    if debian.is_dir():
        versions = [path for path in debian.iterdir() if path.name.isdigit()]
        candidates += [path / "bin" for path in sorted(versions, key=lambda path: int(path.name), reverse=True)]
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


class Server:
    """A running server; `urls` has one URL per service, each with that service's own role."""

    def __init__(self, note: Path, urls: dict[str, str]) -> None:
        self.urls = urls
        self._note = note

    def remove(self) -> None:
        """Delete the data of a server that has ended."""
        remove_noted(self._note)


def start(family: Family, world: World, password_hashes: dict[str, str], note: Path) -> Server:
    """Make a cluster, start it, create the shop's tables, roles and rows.

    As root the server runs as an unprivileged user, because PostgreSQL refuses root.
    note: a file that remembers where the data is, so that the next start removes what a killed one left.
    Errors: ChildFailed with the reason.
    """
    remove_noted(note)
    programs = binaries()
    if programs is None:
        raise ChildFailed("PostgreSQL is not installed.")
    user = _unprivileged_user()
    # Below the system's temporary folder, which every user may enter; a home directory often may not be.
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    note.write_text(str(folder))
    try:
        return Server(note, _start(family, world, password_hashes, programs, folder, user))
    except BaseException:
        remove_noted(note)
        raise


def remove_noted(note: Path) -> None:
    """Delete the data folder a note names, if there is one: what a server that was killed has left."""
    if note.exists():
        folder = Path(note.read_text())
        # Whatever the file says, only a folder of this kind is deleted.
        if folder.name.startswith(PREFIX) and folder.parent == Path(tempfile.gettempdir()):
            shutil.rmtree(folder, ignore_errors=True)
        note.unlink()


def _start(family: Family, world: World, hashes: dict[str, str], programs: Path, folder: Path, user: str) -> dict[str, str]:
    data, secret_file = folder / "data", folder / "owner"
    password = secrets.token_hex(16)
    secret_file.write_text(password)
    secret_file.chmod(0o600)
    identity = pwd.getpwnam(user) if user else None
    if identity:
        os.chown(folder, identity.pw_uid, identity.pw_gid)
        os.chown(secret_file, identity.pw_uid, identity.pw_gid)
    try:
        made = subprocess.run(  # noqa: S603 - a program of the system's PostgreSQL
            [str(programs / "initdb"), "--pgdata", str(data), "--username", OWNER, "--pwfile", str(secret_file),
             "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"],
            capture_output=True, text=True, check=False, cwd="/",
            user=identity.pw_uid if identity else None, group=identity.pw_gid if identity else None,
            extra_groups=[] if identity else None,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise ChildFailed(f"PostgreSQL's initdb could not be run: {error}") from error
    if made.returncode:
        words = made.stderr.strip().splitlines()
        raise ChildFailed(f"PostgreSQL's initdb failed: {words[-1][:200] if words else 'it gave no reason'}")
    port = free_port()
    options = [word for option in SERVER_OPTIONS for word in ("-c", option)]
    child = family.start(
        "postgres",
        [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "", *options],
        user=user,
        stop_signal=signal.SIGINT,  # fast shutdown: it does not wait for clients
        cwd=Path("/"),
    )
    passwords = {service: secrets.token_hex(16) for service in ROLES}
    try:
        _fill(child, f"postgresql://{OWNER}:{password}@127.0.0.1:{port}", world, hashes, passwords)
    except ChildFailed:
        family.drop(child)
        raise
    return {service: f"postgresql://{role}:{passwords[service]}@127.0.0.1:{port}/shop" for service, role in ROLES.items()}


def _fill(child: Child, base: str, world: World, hashes: dict[str, str], passwords: dict[str, str]) -> None:
    import psycopg

    deadline = time.monotonic() + READY_S
    while True:
        try:
            with psycopg.connect(f"{base}/postgres", autocommit=True, connect_timeout=3) as connection:
                connection.execute("CREATE DATABASE shop")
            break
        except psycopg.OperationalError as error:
            failure = child.failure()
            if failure or time.monotonic() > deadline:
                raise ChildFailed(failure or f"PostgreSQL did not start within {READY_S:.0f} s.") from error
            time.sleep(0.05)
    with psycopg.connect(f"{base}/shop", connect_timeout=3) as connection, connection.cursor() as cursor:
        for statement in postgres_statements(passwords):
            cursor.execute(statement.encode())
        for query, values in seed_rows(world, hashes):
            cursor.execute(query.encode(), values)


def _unprivileged_user() -> str:
    """ "" where this process is not root, else a user PostgreSQL may run as."""
    if os.geteuid() != 0:
        return ""
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise ChildFailed("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.")
