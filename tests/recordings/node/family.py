"""Node services under OpenTelemetry's automatic instrumentation."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kit.stage import Service, Stage

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Node:
    """Two sets of packages, `current` and `legacy`, and the Node that runs them, a package itself."""

    cache: Path
    program: str

    def start(
        self, stage: Stage, name: str, script: str, *, tree: str = "current", uses: tuple[str, ...] = (), **env: object
    ) -> Service:
        """A service; `uses` are the packages whose versions its labels name."""
        folder = self.cache / tree
        hook = (
            ["--import", "./hook.mjs"]
            if script.endswith(".mjs")
            else ["--require", "@opentelemetry/auto-instrumentations-node/register"]
        )
        # No look for a cloud's metadata.
        settings = {"OTEL_NODE_RESOURCE_DETECTORS": "env,host,os,process", "NODE_ENV": "production", "HOME": folder}
        versions = {package: _version(folder, package) for package in uses}
        return stage.start(name, [self.program, *hook, f"./{script}"], cwd=folder, versions=versions, **settings, **env)


def install(cache: Path) -> Node:
    """The services and their packages, in the cache; `shared` ones run under either set."""
    for folder in (HERE / "services" / "current", HERE / "services" / "legacy"):
        target = cache / folder.name
        target.mkdir(parents=True, exist_ok=True)
        wanted = (folder / "package.json").read_text()
        had = target / "installed.json"
        for file in (*(HERE / "services" / "shared").iterdir(), *folder.iterdir()):
            shutil.copy(file, target / file.name)
        if not had.exists() or had.read_text() != wanted:
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=target, check=True)
            had.write_text(wanted)
    return Node(cache, str(next((cache / "current" / "node_modules").glob("node-*/bin/node"))))


def _version(folder: Path, package: str) -> str:
    version: str = json.loads((folder / "node_modules" / package / "package.json").read_text())["version"]
    return version
