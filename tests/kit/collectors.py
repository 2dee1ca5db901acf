"""A real OpenTelemetry Collector for tests: built once from modules into the cache, run with the shipped configuration."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from kit.building import CACHE, GO, ROOT, alone
from support.parts import require
from support.real_parts import RealPart, free_port

HERE = Path(__file__).parent
SHIPPED = ROOT / "deploy" / "collector"
KEY = "a key of this test"
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.155.0"


def built(name: str) -> Path:
    """The Collector that collector/NAME.yaml describes, NAME being `gateway` or `agent`. A first build takes minutes."""
    with alone(name):
        return _built(name)


def _built(name: str) -> Path:
    go = require("go", "golang; this needs Go 1.25 or newer")
    manifest = (HERE / "collector" / f"{name}.yaml").read_text()
    made = CACHE / f"{name}-{hashlib.sha256((manifest + BUILDER).encode()).hexdigest()[:12]}"
    program = made / f"otelcol-{name}"
    if program.exists():
        return program
    made.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **GO}
    described = yaml.safe_load(manifest)
    described["dist"]["output_path"] = str(made / "source")
    (made / "builder.yaml").write_text(yaml.safe_dump(described))
    source = made / "source"
    for command, folder in (
        ([go, "install", BUILDER], made),
        ([CACHE / "go/bin/builder", "--config", made / "builder.yaml", "--skip-compilation"], made),
        # Some packages that only the modules' own tests import cannot be had: the builder stops at them, -e goes on.
        ([go, "mod", "tidy", "-e"], source),
        ([go, "build", "-trimpath", "-ldflags=-s -w", "-o", program, "."], source),
    ):
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode and not ("--skip-compilation" in command and (source / "go.mod").exists()):
            pytest.fail(f"{command[0]} {command[1]} failed: {done.stderr[-3000:]}")
    shutil.rmtree(source)
    return program


def overlay(folder: Path, name: str, document: Mapping[str, object]) -> Path:
    """A configuration file that is given after the shipped ones and changes what it names."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def start(program: Path, folder: Path, name: str, configs: Sequence[Path], **environment: str) -> RealPart:
    """A Collector, once its health endpoint says that it is up; that one is put on a free port."""
    port = free_port()
    health = overlay(folder, f"{name}-health", {"extensions": {"health_check": {"endpoint": f"127.0.0.1:{port}"}}})
    command = [str(program), *(f"--config={path}" for path in (*configs, health))]
    given = {**os.environ, "QUEUE_DIR": str(folder / f"queue-{name}"), "AUTH_PSEUDONYM_KEY": KEY, **environment}
    return RealPart(command, port, folder / f"{name}.log", ready="/", env=given).start()


def validate(program: Path, configs: Sequence[Path]) -> str:
    """What the Collector says against the configuration; "" where it takes it."""
    command = [str(program), "validate", *(f"--config={path}" for path in configs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "AUTH_PSEUDONYM_KEY": KEY})
    return "" if done.returncode == 0 else done.stderr + done.stdout
