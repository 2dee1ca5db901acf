"""`clew lab` as a person uses it: the shop in one terminal, an attack in another."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from support.real_parts import free_port

from app.lab import truth
from app.lab.attacks import ATTACKS
from app.lab.recorder import Recorder

CLEW = [sys.executable, "-u", "-m", "app.cli"]


def clew(*words):
    return subprocess.run([*CLEW, *words], capture_output=True, text=True, timeout=120)


@contextmanager
def running(data, otlp, *options):
    process = subprocess.Popen(
        [*CLEW, "lab", "run", "--data", str(data), "--otlp", otlp, *options], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait(10)


@pytest.fixture
def recorder():
    recorder = Recorder()
    recorder.start()
    yield recorder
    recorder.stop()


@pytest.mark.slow
def test_an_attack_on_a_running_shop_leaves_its_truth(tmp_path, recorder):
    with running(tmp_path, recorder.url, "--sqlite", "--visits-per-minute", "120") as shop:
        assert "The shop is at http://127.0.0.1:" in shop.stdout.readline()
        assert "SQLite with an authorizer and triggers, in the place of PostgreSQL (as asked for)" in shop.stdout.readline()
        attacked = clew("lab", "attack", "dropped-context", "--data", str(tmp_path))
        assert attacked.returncode == 0, attacked.stderr
        assert "0 of them answered otherwise than configured" in attacked.stdout
        deadline = time.monotonic() + 60
        while not (tmp_path / "ordinary.jsonl").exists():
            assert time.monotonic() < deadline, "no visitor came"
            time.sleep(0.2)
        shop.send_signal(signal.SIGINT)
        assert shop.wait(30) == 0
        assert shop.stdout.read().endswith("Stopping.\n")
    (run,), _ = truth.read(tmp_path / "ground-truth.jsonl")
    assert (run.begin.attack, run.end.unexpected) == ("dropped-context", 0)
    _, ordinary = truth.read(tmp_path / "ordinary.jsonl")
    assert ordinary
    assert [line for line in ordinary if not line.as_expected] == []


def test_without_a_shop_an_attack_says_how_to_start_one(tmp_path):
    attacked = clew("lab", "attack", "brute-force", "--data", str(tmp_path))
    assert attacked.returncode == 2
    assert "clew lab run" in attacked.stderr
    assert "Traceback" not in attacked.stderr


def test_a_taken_port_is_a_sentence(tmp_path):
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        ran = clew("lab", "run", "--data", str(tmp_path), "--port", str(port))
    assert (ran.returncode, ran.stderr) == (2, f"Port {port} is taken. Choose another with --port.\n")


def test_the_list_names_every_attack():
    listed = clew("lab", "list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(ATTACKS)
