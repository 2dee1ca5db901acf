"""What the examples have in common, without running them: `make test-kit` does that."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SCHEMA = (EXAMPLES / "database" / "schema.sql").read_text()
# The word after a guide's ``` where the block is code of the example, and the files that it is taken from.
GUIDES = {"python": ("python", "*.py"), "go": ("go", "*.go"), "node": ("js", "*.js"), "java": ("java", "src/**/*.java")}
PAGES = [EXAMPLES / "README.md", EXAMPLES / "chain" / "README.md", *sorted((ROOT / "docs" / "instrumenting").glob("*.md"))]
KEY = "a key of this test, which is long enough"


@pytest.fixture(scope="module")
def five_calls():
    spec = importlib.util.spec_from_file_location("five_calls", EXAMPLES / "five_calls.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_schema_keeps_hashes_of_the_demo_passwords_and_no_password(five_calls):
    kept = {name: (salt, digest) for name, salt, digest in re.findall(r"'(\w+)', '([0-9a-f]{32})',\s+'([0-9a-f]{64})'", SCHEMA)}
    for name, password in five_calls.DEMO_PASSWORDS.items():
        salt, digest = kept[name]
        assert hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), 100_000).hex() == digest
        assert password not in SCHEMA


def test_the_expired_token_is_refused_for_its_age_alone(five_calls):
    good = jwt.encode({"sub": "u-1", "exp": 4_000_000_000, "iss": "shop"}, KEY, algorithm="HS256")
    old = five_calls.expired(good, KEY.encode())
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(old, KEY, algorithms=["HS256"], issuer="shop")
    claims = jwt.decode(old, KEY, algorithms=["HS256"], issuer="shop", options={"verify_exp": False})
    assert claims["sub"] == "u-1"


def test_an_answer_without_a_token_is_no_reason_to_stop(five_calls):
    for token in ("", "a.b", "a.b.c"):
        assert five_calls.expired(token, KEY.encode()) == token


def test_nobody_there_is_told_in_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a call to it is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, EXAMPLES / "five_calls.py", url, "--token-key", KEY]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{url} does not answer: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("language", GUIDES)
def test_a_guide_shows_code_of_its_example(language):
    """Whole lines, as they stand there."""
    word, files = GUIDES[language]
    sources = [path.read_text() for path in (EXAMPLES / language).glob(files)]
    shown = re.findall(rf"```{word}\n(.*?)```", (ROOT / "docs" / "instrumenting" / f"{language}.md").read_text(), re.DOTALL)
    assert shown
    for block in shown:
        assert any(block in source for source in sources), block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_lock_of_node_names_no_registry():
    """Packages come from the one that whoever builds has set; what they are is held by their hashes."""
    lock = json.loads((EXAMPLES / "node" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert [name for name, package in packages.items() if "resolved" in package or "integrity" not in package] == []
