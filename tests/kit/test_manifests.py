"""Compose and Kubernetes files, read by the libraries that Compose and Kubernetes themselves read them with.

No container is started here: it is their schemas, their interpolation, and the restricted Pod Security Standard that are asked.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from kit import compose
from kit.collectors import ROOT
from kit.compose import DEPLOY, ask, project

pytestmark = pytest.mark.kit


@pytest.fixture(scope="module")
def judge() -> Path:
    return compose.judge()


@pytest.fixture
def deploy(tmp_path) -> Path:
    return compose.copied(tmp_path)


def test_compose_loads_with_what_new_secrets_made(judge, deploy):
    made = project(judge, deploy / "compose.yaml")
    assert len(made["services"]) == 9
    given = made["services"]["clew"]["environment"]
    assert json.loads(given["CLEW_SECURITY__TRUSTED_PROXIES"]) == ["172.16.0.0/12"]
    assert given["CLEW_WEB__PUBLIC_URL"] == "https://clew.example.net"
    assert len(made["services"]["otel-collector"]["environment"]["AUTH_PSEUDONYM_KEY"]) == 43
    files = [Path(secret["file"]) for secret in made["secrets"].values()]
    files += [Path(mount["source"]) for one in made["services"].values() for mount in one.get("volumes", [])
              if mount["type"] == "bind"]  # fmt: skip
    assert len(files) > 10
    assert all(file.exists() and file.is_relative_to(deploy) for file in files)
    built = made["services"]["clew"]["build"]
    assert (ROOT / Path(built["dockerfile"])).is_file()
    assert Path(built["context"]) == deploy.parent


@pytest.mark.parametrize("name", ["CLEW_PUBLIC_URL", "AUTH_PSEUDONYM_KEY"])
def test_compose_asks_for_what_has_no_default(judge, deploy, name):
    env = deploy / ".env"
    env.write_text(re.sub(rf"(?m)^{name}=.*$", f"{name}=", env.read_text()))
    refused = ask(judge, "compose", deploy / "compose.yaml")
    assert refused.returncode == 1
    assert f"required variable {name} is missing a value" in refused.stderr


def test_the_demo_differs_in_addresses_and_cookies_only(judge, deploy):
    usual = project(judge, deploy / "compose.yaml")
    demo = project(judge, deploy / "compose.yaml", deploy / "compose.demo.yaml")
    given = demo["services"]["clew"]["environment"]
    assert given.pop("CLEW_SECURITY__SECURE_COOKIES") == "false"
    assert given.pop("CLEW_WEB__DEMO") == "true"
    for service, name, port in (
        ("clew", "CLEW_WEB__PUBLIC_URL", 8000), ("clew", "CLEW_GRAFANA__URL", 3000), ("grafana", "GF_SERVER_ROOT_URL", 3000),
    ):  # fmt: skip
        assert demo["services"][service]["environment"].pop(name) == f"http://localhost:{port}"
        assert usual["services"][service]["environment"].pop(name).startswith("https://")
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
