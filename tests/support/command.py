"""The `clew` command as a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

CLEW = [sys.executable, "-m", "app.cli"]


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """This process's environment without settings of Clew, then those given, and a database in `folder`."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    return bare | {"CLEW_DATABASE__URL": f"sqlite:///{folder}/clew.db"} | settings


def here(*arguments: str, folder: Path, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end within this process: quick, and the same to the command as far as it can tell."""
    from app.cli.__main__ import main

    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.dict(os.environ, environment(folder, **settings), clear=True),
        mock.patch("sys.argv", ["clew", *arguments]),
        mock.patch("sys.stdin", io.StringIO(given)),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def run(
    *arguments: str, folder: Path, given: str = "", program: list[str] = CLEW, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end in a process of its own."""
    return subprocess.run(
        [*program, *arguments], input=given, capture_output=True, text=True, cwd=folder, timeout=120,
        env=environment(folder, **settings),
    )  # fmt: skip


@contextlib.contextmanager
def serving(folder: Path, *, program: list[str] = CLEW, **settings: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `clew serve` on a free port; gives its address. Ended by SIGTERM, as a supervisor does."""
    settings = {"CLEW_WEB__PORT": str(_free_port()), **settings}
    log = folder / "serve.log"
    with log.open("w") as errors, subprocess.Popen(
        [*program, "serve"], cwd=folder, env=environment(folder, **settings), text=True, stdout=subprocess.PIPE, stderr=errors
    ) as process:  # fmt: skip
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.fullmatch(r"Clew on (http://\S+)\n", line)
            assert found, line + log.read_text()
            wait_for(found[1] + "/healthz")
            yield found[1], process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    import httpx2 as httpx

    deadline = time.monotonic() + 30
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
