"""The examples as their users run them: a private PostgreSQL with their schema, their programs built and started, the five
calls made, and what Clew says of the traces.

A program is built in `.cache/kit`, from a copy of its sources, once for each state of these.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from kit.building import CACHE, GO, ROOT, alone
from support.embedded_backend import EmbeddedBackend
from support.parts import require
from support.postgres import Postgres, running
from support.real_parts import RealPart, free_port

from app.analysis.verdict import Finding, FindingKind, Verdict
from app.investigation.judging import judge_of
from app.settings import AnalysisSettings
from app.traces.build import build as build_trace
from app.traces.model import Span, Trace
from app.traces.otlp import decode

EXAMPLES = ROOT / "examples"
TOKEN_KEY = "a key of this test, which is long enough"
HASH_KEY = "another key of this test"
APP_PASSWORD = "of-this-test"
CLIENT = "203.0.113.7"
# What no span and no line of a log may hold with USER_HASH_KEY set: names, passwords, tokens.
SECRET = re.compile(r"\b(ada|victor|bea)\b|analytical|visiting|eyJ[\w-]+|" + APP_PASSWORD, re.IGNORECASE)
MADE_IN_PLACE = {"__pycache__", ".venv", "node_modules", "target"}  # by whoever tries an example where it stands
START_S = 60.0  # a JVM on a machine that does much else besides
SETTLED_S = 1.0  # the programs export every 200 ms: what has not grown for so long is whole


class Program(msgspec.Struct, frozen=True):
    """How one language's example is started."""

    command: tuple[str, ...]
    folder: Path


class Call(msgspec.Struct, frozen=True):
    """One of the five calls, as five_calls.py prints it."""

    call: str
    method: str
    path: str
    expected: int
    status: int
    trace_id: str


@contextlib.contextmanager
def database() -> Iterator[str]:
    """DATABASE_URL of app_user in a fresh PostgreSQL that examples/database/schema.sql was read into."""
    port = free_port()
    with running(port=port) as server:
        server.create("shop")
        read_schema(server)
        yield f"postgresql://app_user:{APP_PASSWORD}@127.0.0.1:{port}/shop"


def read_schema(server: Postgres) -> None:
    """Read the schema as its head says: by psql."""
    psql = require("psql", "postgresql-client")
    address = ["-h", str(server.folder), "-p", str(server.port), "-U", server.user, "-v", f"app_password={APP_PASSWORD}"]
    done = subprocess.run(
        [psql, "-q", *address, "-f", EXAMPLES / "database" / "schema.sql", "shop"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def built(language: str, prepare: Callable[[Path], Program]) -> Program:
    """The program of a language. `prepare` builds it in the folder it is given, which holds a copy of its sources."""
    with alone(language):
        return _built(language, prepare)


def _built(language: str, prepare: Callable[[Path], Program]) -> Program:
    source = EXAMPLES / language
    digest = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if path.is_file() and not MADE_IN_PLACE & set(path.parts)):
        digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes() + b"\0")
    made = CACHE / f"{language}-{digest.hexdigest()[:12]}"
    noted = made / ".built.json"
    if noted.exists():
        return msgspec.json.decode(noted.read_bytes(), type=Program, dec_hook=lambda kind, value: kind(value))
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(source, made, ignore=shutil.ignore_patterns(*MADE_IN_PLACE))
    program = prepare(made)
    noted.write_bytes(msgspec.json.encode(program, enc_hook=str))
    return program


def run(*command: str | Path, folder: Path, **environment: str) -> None:
    """A step of a build, politely. Fails the test with the step's last words."""
    words = ["nice", "-n", "10", *map(str, command)]
    given = {**os.environ, **environment}
    done = subprocess.run(words, cwd=folder, env=given, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def python(made: Path) -> Program:
    """In an environment with what requirements.txt pins, made once for each state of that."""
    wanted = made / "requirements.txt"
    home = CACHE / f"python-environment-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    own = home / "bin" / "python"
    if not (home / ".whole").exists():
        venv.create(home, with_pip=True, clear=True)
        run(own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted, folder=made)
        (home / ".whole").touch()
    return Program((str(own), "shop.py"), made)


def go(made: Path) -> Program:
    program = require("go", "golang; this needs Go 1.26 or newer")
    run(
        program, "build", "-trimpath", "-o", made / "shop", ".", folder=made,
        **{**GO, "GOFLAGS": f"{GO['GOFLAGS']} -buildvcs=false"}, CGO_ENABLED="0",
    )  # fmt: skip
    return Program((str(made / "shop"),), made)


def node(made: Path) -> Program:
    program, npm = require("node", "nodejs; this needs Node 20.6 or newer"), require("npm", "npm")
    run(npm, "ci", "--no-audit", "--no-fund", folder=made, npm_config_cache=str(CACHE / "npm"))
    return Program((program, "server.js"), made)


def java(made: Path) -> Program:
    program, maven = require("java", "openjdk-17-jdk-headless"), require("mvn", "maven")
    own = f"-Dmaven.repo.local={CACHE / 'maven'}"
    run(maven, "--batch-mode", "--quiet", "-Dstyle.color=never", own, "package", folder=made)
    # A small heap and a quick start: many more of the kit's parts run beside it.
    return Program((program, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-jar", "target/java-shop.jar"), made)


# How each language's program is built; the keys are the folders in examples/.
LANGUAGES: dict[str, Callable[[Path], Program]] = {"python": python, "go": go, "node": node, "java": java}


def start(program: Program, log: Path, backend: EmbeddedBackend, **environment: str) -> RealPart:
    """A program that answers, on a free port, sending its spans to the backend. Names are hashed unless told otherwise.

    Whatever OpenTelemetry settings this test's own environment has, the program gets the ones given here.
    """
    port = free_port()
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    given = {
        **own,
        "PORT": str(port),
        "TOKEN_KEY": TOKEN_KEY,
        "USER_HASH_KEY": HASH_KEY,
        "TRUST_FORWARDED_FOR": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.otlp,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        **environment,
    }
    return RealPart(program.command, port, log, ready="/healthz", env=given, folder=program.folder, start_s=START_S).start()


def make_the_calls(url: str) -> dict[str, Call]:
    """What five_calls.py was answered, by the name of the call."""
    command = [sys.executable, EXAMPLES / "five_calls.py", url, "--client-address", CLIENT, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "TOKEN_KEY": TOKEN_KEY}
    )
    assert done.stdout, done.stderr
    return {one.call: one for one in msgspec.json.decode(done.stdout, type=list[Call])}


def traces_of(backend: EmbeddedBackend, calls: Mapping[str, Call], *, within_s: float = 30) -> dict[str, Trace]:
    """The trace of each call, once all are there and none grows any more."""
    until, since, before = time.monotonic() + within_s, time.monotonic(), -1
    while True:
        found = {name: _trace(backend, call.trace_id) for name, call in calls.items()}
        now = sum(len(trace.nodes) for trace in found.values() if trace)
        if now != before:
            before, since = now, time.monotonic()
        missing = [name for name, trace in found.items() if trace is None]
        if not missing and time.monotonic() - since >= SETTLED_S:
            return {name: trace for name, trace in found.items() if trace}
        assert time.monotonic() < until, f"no whole trace of {missing or list(calls)}"
        time.sleep(0.2)


def _trace(backend: EmbeddedBackend, trace_id: str) -> Trace | None:
    answer = backend.get(f"/api/traces/{trace_id}")
    return None if answer.status_code == 404 else build_trace(decode(answer.content, "application/json"))


judge = judge_of(AnalysisSettings())


def findings(verdict: Verdict) -> list[Finding]:
    """All but slowness: a JVM's first request on a busy machine takes its seconds."""
    return [found for found in verdict.findings if found.kind is not FindingKind.SLOW_AUTH]


def spans(trace: Trace) -> list[Span]:
    """Parents before children."""
    return [node.span for node in trace.nodes]


def texts(trace: Trace) -> Iterator[str]:
    """Every name, attribute and event of a trace as text, to look for what must not be there."""
    for span in spans(trace):
        yield span.name
        yield json.dumps({k: str(v) for k, v in span.attributes.items()})
        for event in span.events:
            yield json.dumps({k: str(v) for k, v in event.attributes.items()})


def log_lines(log: Path) -> list[dict[str, object]]:
    """The lines of JSON among what a program wrote."""
    found = []
    for line in log.read_text().splitlines():
        with contextlib.suppress(ValueError):
            if isinstance(parsed := json.loads(line), dict):
                found.append(parsed)
    return found
