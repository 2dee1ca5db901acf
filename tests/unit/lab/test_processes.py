"""Children: they log, they stop when asked, they never outlive their parent, and their end becomes a sentence."""

import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from app.lab.processes import Family, free_port, port_taken

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def gone(pid):
    """Whether the process has ended; a zombie that nobody has waited for has."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def family(tmp_path):
    family = Family(tmp_path / "logs")
    yield family
    family.stop()


def test_a_child_that_ends_is_told_with_its_last_words_and_its_log(family):
    child = family.start("orders", [sys.executable, "-c", "import sys; print('first'); sys.exit('no database')"])
    assert child.wait(10)
    assert child.failure() == f"orders ended with status 1: no database. Its log: {child.log}"
    assert family.failure() == child.failure()


def test_a_child_ended_by_a_signal_says_so(family):
    child = family.start("orders", SLEEP)
    assert child.failure() is None
    child.signal_group(signal.SIGKILL)
    assert child.wait(10)
    assert "was ended by signal 9" in child.failure()


def test_stop_ends_all_even_one_that_does_not_listen(family, monkeypatch):
    monkeypatch.setattr("app.lab.processes.STOP_GRACE_S", 0.5)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    children = [family.start("a", SLEEP), family.start("b", [sys.executable, "-c", deaf])]
    assert eventually(lambda: all(child.log.exists() and b"up" in child.log.read_bytes() for child in children))
    pids = [child.pid for child in children]
    family.stop()
    assert all(gone(pid) for pid in pids)


def test_children_die_with_a_parent_that_is_killed(tmp_path):
    script = textwrap.dedent(f"""
        import pathlib, sys, time
        from app.lab.processes import Family
        child = Family(pathlib.Path({str(tmp_path)!r})).start("sleeper", {SLEEP!r})
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(parent.stdout.readline())
        assert eventually(lambda: b"up" in (tmp_path / "sleeper.log").read_bytes())
        parent.kill()
        parent.wait(10)
        assert eventually(lambda: gone(pid))
    finally:
        parent.kill()
        parent.stdout.close()


def test_a_program_that_is_missing_becomes_a_child_that_failed(family):
    child = family.start("ghost", ["/nonexistent/program"])
    assert child.wait(10)
    assert "ghost ended with status 1" in child.failure()


def test_settings_of_the_parent_do_not_reach_a_child(family, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere")
    monkeypatch.setenv("CLEW_TEMPO__URL", "http://elsewhere")
    shown = "import os; print([name for name in os.environ if name.startswith(('OTEL_', 'CLEW_'))])"
    child = family.start("env", [sys.executable, "-c", shown], env={"CLEW_LAB_SERVICE": "x"})
    assert child.wait(10)
    assert child.log.read_text().strip() == "['CLEW_LAB_SERVICE']"


def test_a_port_is_taken_while_somebody_listens():
    port = free_port()
    assert not port_taken(port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert port_taken(port)
