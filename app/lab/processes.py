"""Child processes that start in order, log to files, stop together and never outlive their parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.errors import AppError

TETHER = Path(__file__).with_name("tether.py")
STOP_GRACE_S = 8.0


class ChildFailed(AppError):
    """A child process ended or never became ready. The sentence names its log."""


class Child:
    """One running child process."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, stop_signal: int) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._stop_signal = stop_signal

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def failure(self) -> str | None:
        """A sentence where the child has ended, with its last words, if it chose to end, and its log's path."""
        code = self.exit_code
        if code is None:
            return None
        if code < 0:
            return f"{self.name} was ended by signal {-code}. Its log: {self.log}"
        words = _last_line(self.log)
        return f"{self.name} ended with status {code}{f': {words}' if words else ''}. Its log: {self.log}"

    def ask_to_stop(self) -> None:
        self.signal_group(self._stop_signal)

    def wait(self, timeout_s: float) -> bool:
        """True once it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal_group(self, number: int) -> None:
        # Its own session, so its process group holds it and whatever it started.
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


class Family:
    """The children of one parent. Start from the main thread: the kernel ties a child to the thread that forked it."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.children: list[Child] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str = "",
        stop_signal: int = signal.SIGTERM,
        cwd: Path | None = None,
    ) -> Child:
        """Start a child. Errors: ChildFailed where the program cannot be run."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), str(int(stop_signal)), user or "-"]
        with log.open("ab") as sink:
            try:
                process = subprocess.Popen(  # noqa: S603 - our own commands
                    [*tether, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env={**inherited_environment(), **(env or {})},
                    start_new_session=True,
                    cwd=cwd,
                )
            except OSError as error:
                raise ChildFailed(f"{name} could not be started: {error.strerror}.") from error
        child = Child(name, process, log, stop_signal)
        self.children.append(child)
        return child

    def failure(self) -> str | None:
        """The first child that has ended on its own, as a sentence."""
        return next((sentence for child in self.children if (sentence := child.failure())), None)

    def stop(self) -> None:
        """Ask all to stop, youngest first, then insist."""
        for child in reversed(self.children):
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE_S
        for child in reversed(self.children):
            if not child.wait(max(0.05, deadline - time.monotonic())):
                child.signal_group(signal.SIGKILL)
                child.wait(2.0)
        self.children.clear()

    def drop(self, child: Child) -> None:
        """Stop one child and forget it."""
        child.ask_to_stop()
        if not child.wait(STOP_GRACE_S):
            child.signal_group(signal.SIGKILL)
            child.wait(2.0)
        self.children.remove(child)


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Whether binding the port would fail."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False


def inherited_environment() -> dict[str, str]:
    """This process's environment without what would set up a child behind its parent's back."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("CLEW_", "OTEL_"))}


def _last_line(log: Path) -> str:
    """The last line a child wrote, capped: usually the reason."""
    try:
        with log.open("rb") as lines:
            lines.seek(max(0, lines.seek(0, os.SEEK_END) - 4000))
            tail = lines.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return tail[-1].strip()[:200] if tail else ""
