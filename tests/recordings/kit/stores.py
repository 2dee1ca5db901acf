"""Real databases and a broker on free ports of the loopback address, each ended by its `with` block.

They run as an unprivileged user: as root, as the user `postgres` that Debian's package makes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.debian import libraries, unpacked, version
from kit.stage import closed_port

START_S = 60.0
USER = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


@dataclass(frozen=True)
class Store:
    """Where a store listens, what it is, and its process, to be stopped for a while or for good."""

    port: int
    versions: dict[str, str]
    process: subprocess.Popen[bytes]

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # PostgreSQL answers each connection in a process, and a session, of its own.
        own = self.process.pid
        for pid in (own, *map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())):
            os.kill(pid, number)


@dataclass(frozen=True)
class Account:
    """A user of the broker: the names it may configure, write to and read from, as regular expressions."""

    password: str
    configure: str = ".*"
    write: str = ".*"
    read: str = ".*"


@contextlib.contextmanager
def postgres(statements: str) -> Iterator[Store]:
    """PostgreSQL with the given roles, tables, grants and policies in the database `shop`; passwords are asked for."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    with _folder() as folder:
        data, port = folder / "data", closed_port()
        password = folder / "password"
        password.write_text("owner\n")
        _own(password)
        _run(programs / "initdb", "-D", data, "-U", "owner", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync",
             "--encoding=UTF8", "--locale=C.UTF-8")  # fmt: skip
        options = [
            "-c",
            f"port={port}",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={folder}",
            "-c",
            "fsync=off",
        ]
        with _process([programs / "postgres", "-D", data, *options], folder, port) as process:
            psql = [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "owner"]
            _run(*psql, "-c", "CREATE DATABASE shop", "postgres", env={"PGPASSWORD": "owner"})
            _run(*psql, "-c", statements, "shop", env={"PGPASSWORD": "owner"})
            done = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
            yield Store(port, {"PostgreSQL": done.stdout.split()[2]}, process)


@contextlib.contextmanager
def redis(cache: Path, acl: Sequence[str]) -> Iterator[Store]:
    """Redis with the given ACL rules (`user ...` lines); the default user is off unless they say otherwise."""
    root = unpacked(cache, "redis")
    with _folder() as folder:
        port = closed_port()
        settings = [f"port {port}", "bind 127.0.0.1", "save ''", "appendonly no", f"dir {folder}", *acl]
        (folder / "redis.conf").write_text("\n".join(settings) + "\n")
        _own(folder / "redis.conf")
        command = [root / "usr/bin/redis-server", folder / "redis.conf"]
        with _process(command, folder, port, LD_LIBRARY_PATH=libraries(root)) as process:
            yield Store(port, {"Redis": version(cache, "redis-server")}, process)


@contextlib.contextmanager
def mariadb(cache: Path, statements: str) -> Iterator[Store]:
    """MariaDB with the given users, tables and grants; `statements` run at its start, one on a line."""
    root = unpacked(cache, "mariadb")
    with _folder() as folder:
        port, data = closed_port(), folder / "data"
        environment = {"LD_LIBRARY_PATH": libraries(root)}
        data.mkdir()
        _own(data)
        common = ["--no-defaults", f"--datadir={data}", f"--lc-messages-dir={root}/usr/share/mysql", f"--tmpdir={folder}"]
        system = "".join(
            (root / f"usr/share/mysql/mysql_{part}.sql").read_text()
            for part in ("system_tables", "performance_tables", "system_tables_data")
        )
        boot = f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n{system}"
        _run(root / "usr/sbin/mariadbd", *common, "--bootstrap", env=environment, typed=boot)
        (folder / "init.sql").write_text(statements)
        _own(folder / "init.sql")
        command = [root / "usr/sbin/mariadbd", *common, f"--port={port}", "--bind-address=127.0.0.1",
                   f"--socket={folder}/socket", f"--init-file={folder}/init.sql", "--skip-name-resolve"]  # fmt: skip
        with _process(command, folder, port, **environment) as process:
            yield Store(port, {"MariaDB": version(cache, "mariadb-server-core")}, process)


@contextlib.contextmanager
def rabbitmq(cache: Path, accounts: Mapping[str, Account]) -> Iterator[Store]:
    """RabbitMQ with the given accounts on the virtual host `/`."""
    root = unpacked(cache, "rabbitmq")
    erlang, server = root / "usr/lib/erlang", next((root / "usr/lib/rabbitmq/lib").iterdir())
    programs = next(erlang.glob("erts-*")) / "bin"
    with _folder() as folder:
        port, names, nodes = closed_port(), closed_port(), closed_port()
        # Debian's `erl` knows only the place where the package would be installed.
        (folder / "erl").write_text(f'#!/bin/sh\nexec {programs}/erlexec "$@"\n')
        (folder / "erl").chmod(0o755)
        (folder / "definitions.json").write_text(json.dumps(_definitions(accounts)))
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {folder}/definitions.json\n"
        )
        for made in folder.iterdir():
            _own(made)
        environment = {
            "PATH": f"{folder}:/usr/bin:/bin", "ROOTDIR": erlang, "BINDIR": programs, "EMU": "beam", "PROGNAME": "erl",
            "ERL_LIBS": server / "plugins", "ERL_EPMD_PORT": names, "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_HOME": server,
            "RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_DIST_PORT": nodes, "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "logs", "RABBITMQ_LOGS": "-", "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins", "RABBITMQ_CONF_ENV_FILE": folder / "none",
        }  # fmt: skip
        given = {name: str(value) for name, value in environment.items()}
        command = [programs / "erlexec", "-noinput", "-noshell", "-boot", "start_sasl",
                   "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-s", "rabbit", "boot"]  # fmt: skip
        # The broker would start the name server itself and leave it behind.
        with _process([programs / "epmd"], folder, names, **given), _process(command, folder, port, **given) as process:
            yield Store(port, {"RabbitMQ": version(cache, "rabbitmq-server")}, process)


def _definitions(accounts: Mapping[str, Account]) -> dict[str, object]:
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": name,
                "password_hash": _hash(one.password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for name, one in accounts.items()
        ],
        "permissions": [
            {"user": name, "vhost": "/", "configure": one.configure, "write": one.write, "read": one.read}
            for name, one in accounts.items()
        ],
    }


def _hash(password: str) -> str:
    salt = b"salt"
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # A short path: the name of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="rec-", dir="/tmp"))
    _own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _process(command: Sequence[object], folder: Path, port: int, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=folder, env={**os.environ, "HOME": str(folder), **env},
            stdout=log, stderr=log, **_unprivileged())  # fmt: skip
    try:
        _wait_for(port, process, folder / "log")
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT if "postgres" in str(command[0]) else signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args} did not start: {log.read_text(errors='replace')[-2000:]}")


def _run(*command: object, env: dict[str, str] | None = None, typed: str = "") -> None:
    given = {**os.environ, **(env or {})}
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, input=typed, env=given, cwd="/", **_unprivileged()
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-1500:]}{done.stdout[-500:]}")


def _unprivileged() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(USER)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, USER)
