"""Compose and Kubernetes files, read by the libraries that Compose and Kubernetes themselves read them with.

No container is started here: it is their schemas, their interpolation, and the restricted Pod Security Standard that are asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kit.collectors import CACHE, ROOT
from support.parts import require

pytestmark = pytest.mark.kit
SOURCE = Path(__file__).parent / "manifests"
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def judge() -> Path:
    """The program of manifests/main.go, built once into the cache."""
    go = require("go", "golang; this needs Go 1.25 or newer")
    known = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(SOURCE.iterdir()))).hexdigest()
    program = CACHE / f"manifests-{known[:12]}"
    if not program.exists():
        environment = {**os.environ, "GOPATH": str(CACHE / "go"), "GOCACHE": str(CACHE / "gocache"), "GOFLAGS": "-modcacherw"}
        done = subprocess.run(
            [go, "build", "-trimpath", "-o", program, "."],
            cwd=SOURCE,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return program


@pytest.fixture
def deploy(tmp_path) -> Path:
    """A copy of deploy/ with fresh secrets, as somebody has it who followed the documentation."""
    folder = tmp_path / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run([folder / "new-secrets"], check=True, capture_output=True)
    return folder


def ask(judge: Path, kind: str, *files: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("CLEW_", "COMPOSE_"))}
    return subprocess.run([judge, kind, *files], env=bare | settings, capture_output=True, text=True, check=False)


def loaded(judge: Path, *files: Path, **settings: str) -> dict[str, Any]:
    done = ask(judge, "compose", *files, **settings)
    assert done.returncode == 0, done.stderr
    project: dict[str, Any] = json.loads(done.stdout)
    return project


def test_compose_loads_with_what_new_secrets_made(judge, deploy):
    project = loaded(judge, deploy / "compose.yaml")
    assert len(project["services"]) == 9
    given = project["services"]["clew"]["environment"]
    assert json.loads(given["CLEW_SECURITY__TRUSTED_PROXIES"]) == ["172.16.0.0/12"]
    assert given["CLEW_WEB__PUBLIC_URL"] == "https://clew.example.net"
    assert len(project["services"]["otel-collector"]["environment"]["AUTH_PSEUDONYM_KEY"]) == 43
    files = [Path(secret["file"]) for secret in project["secrets"].values()]
    files += [Path(mount["source"]) for one in project["services"].values() for mount in one.get("volumes", [])
              if mount["type"] == "bind"]  # fmt: skip
    assert len(files) > 10
    assert all(file.exists() and file.is_relative_to(deploy) for file in files)
    built = project["services"]["clew"]["build"]
    assert (ROOT / Path(built["dockerfile"])).is_file()
    assert Path(built["context"]) == deploy.parent


@pytest.mark.parametrize("name", ["CLEW_PUBLIC_URL", "AUTH_PSEUDONYM_KEY"])
def test_compose_asks_for_what_has_no_default(judge, deploy, name):
    env = deploy / ".env"
    env.write_text(re.sub(rf"(?m)^{name}=.*$", f"{name}=", env.read_text()))
    refused = ask(judge, "compose", deploy / "compose.yaml")
    assert refused.returncode == 1
    assert f"required variable {name} is missing a value" in refused.stderr


def test_the_demo_differs_in_two_settings_only(judge, deploy):
    usual = loaded(judge, deploy / "compose.yaml")
    demo = loaded(judge, deploy / "compose.yaml", deploy / "compose.demo.yaml")
    environment = demo["services"]["clew"]["environment"]
    assert environment.pop("CLEW_SECURITY__SECURE_COOKIES") == "false"
    assert environment.pop("CLEW_WEB__DEMO") == "true"
    assert demo == usual


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("read_only: true", "read_onyl: true", "read_onyl"),
        ("networks: [database]", "networks: [databse]", "databse"),
        ("condition: service_healthy", "condition: service_helthy", "service_helthy|condition"),
        ("secrets: [postgres-password]", "secrets: [postgres-pasword]", "postgres-pasword"),
    ],
)
def test_a_mistake_in_compose_is_found(judge, deploy, before, after, said):
    """The checks above can fail."""
    file = deploy / "compose.yaml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    refused = ask(judge, "compose", file)
    assert refused.returncode == 1
    assert re.search(said, refused.stderr), refused.stderr


def test_kubernetes_takes_every_manifest_and_its_pods_are_restricted(judge):
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    assert len(files) == 4
    done = ask(judge, "kubernetes", *files)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("periodSeconds", "periodSecond", 'unknown field "periodSecond"'),
        ("replicas: 1", "replicas: one", "cannot unmarshal string"),
        ("runAsNonRoot: true", "runAsNonRoot: false", "pod security, restricted: runAsNonRoot"),
        ("capabilities: {drop: [ALL]}", "capabilities: {add: [NET_ADMIN]}", "pod security, restricted: .*NET_ADMIN"),
        ("seccompProfile: {type: RuntimeDefault}", "seccompProfile: {type: Unconfined}", "pod security, restricted: seccomp"),
        ("kind: Deployment", "kind: Deploiment", "no known type"),
    ],
)
def test_a_mistake_in_a_manifest_is_found(judge, tmp_path, before, after, said):
    text = (DEPLOY / "kubernetes" / "3-clew.yaml").read_text()
    assert before in text
    (tmp_path / "wrong.yaml").write_text(text.replace(before, after))
    refused = ask(judge, "kubernetes", tmp_path / "wrong.yaml")
    assert refused.returncode == 1
    assert re.search(said, refused.stderr), refused.stderr
