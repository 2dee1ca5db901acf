"""Go services under OpenTelemetry's instrumentation libraries, and policy engines and proxies that trace themselves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kit.stage import Request, Service, Stage
from kit.stores import Store

HERE = Path(__file__).parent
CLIENT = "203.0.113.7"

# Programs built from their own modules, as `go install` does.
ENGINES = {
    "opa": ("github.com/open-policy-agent/opa", "v1.22.2"),
    "openfga": ("github.com/openfga/openfga/cmd/openfga", "v1.22.1"),
    "caddy": ("github.com/caddyserver/caddy/v2/cmd/caddy", "v2.11.9"),
}


# The services that also run under older libraries, and what they are made of.
LEGACY = ("serve.go", "telemetry.go", "tokens.go", "gateway.go", "orders.go", "deciders.go", "rpc.go")


@dataclass(frozen=True)
class Go:
    """Our services in two trees, `shop` and `legacy`; `engine(name)`: a program of others, built when first asked for."""

    cache: Path

    def start(
        self, stage: Stage, name: str, kind: str, *, tree: str = "shop", uses: tuple[str, ...] = (), **env: object
    ) -> Service:
        """One of our services; `uses` are the ends of the module paths whose versions its labels name."""
        wanted = re.findall(r"^\t(\S+) (v\S+)$", (self.cache / tree / "go.mod").read_text(), re.MULTILINE)
        versions = {module: version for module, version in wanted if uses and module.endswith(uses)}
        return stage.start(name, [self.cache / "bin" / tree, kind], versions=versions, **env)

    def engine(self, name: str) -> Path:
        package, version = ENGINES[name]
        target = self.cache / "bin" / f"{name}-{version}"
        if not target.exists():
            _go(self.cache, "install", f"{package}@{version}")
            (self.cache / "bin" / name).rename(target)
        return target

    def version(self, name: str) -> dict[str, str]:
        return {name: ENGINES[name][1]}


def install(cache: Path) -> Go:
    """Our services, built in the cache."""
    for tree in ("shop", "legacy"):
        source = cache / tree
        shutil.copytree(HERE / "services" / tree, source, dirs_exist_ok=True)
        if tree == "legacy":
            for file in LEGACY:
                shutil.copy(HERE / "services" / "shop" / file, source)
        _go(cache, "build", "-o", str(cache / "bin" / tree), ".", cwd=source)
    return Go(cache)


def _go(cache: Path, *words: str, cwd: Path | None = None) -> None:
    """One package at a time: the machine that records does other things too."""
    settings = {
        "GOPATH": str(cache / "gopath"),
        "GOCACHE": str(cache / "gocache"),
        "GOBIN": str(cache / "bin"),
        "GOFLAGS": "-p=1 -buildvcs=false -modcacherw",
        "CGO_ENABLED": "0",
    }
    go = shutil.which("go") or "/usr/local/go/bin/go"
    subprocess.run(["nice", go, *words], cwd=cwd or cache, env={**os.environ, "GOMODCACHE": "", **settings}, check=True)


def ask(service: Service, method: str, path: str, token: str | None = None, body: object = None) -> Request:
    """A request of `CLIENT`, as a proxy before the first service would tell it."""
    headers = {"X-Forwarded-For": CLIENT} | ({"Authorization": token} if token else {})
    return service.request(method, path, body, headers)


def end(stage: Stage, database: Store, request: Request) -> None:
    """PostgreSQL is gone, and so is the connection a service kept: the request, none that is recorded, finds that out."""
    database.process.send_signal(signal.SIGQUIT)
    database.process.wait(20)
    stage.send(request)
