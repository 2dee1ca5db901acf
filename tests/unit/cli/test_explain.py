"""`clew explain`: 0 and a verdict for a trace, 2 and one line for anything else."""

import json
import subprocess
import sys

import pytest

from app.cli import explain

TRACE = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "orders\x1b[31m"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "5bd66ef5095369c7b0d1f8f4bd33716a",
                            "spanId": "00f067aa0ba902b7",
                            "name": "GET /x",
                            "kind": 2,
                            "startTimeUnixNano": "1790000000000000000",
                            "endTimeUnixNano": "1790000000100000000",
                            "attributes": [{"key": "http.response.status_code", "value": {"intValue": "403"}}],
                        }
                    ]
                }
            ],
        }
    ]
}


def run(*arguments, stdin=b""):
    command = [sys.executable, "-m", "app.cli.explain", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)


def test_a_file_becomes_a_verdict_in_json(tmp_path):
    file = tmp_path / "trace.json"
    file.write_text(json.dumps(TRACE))
    done = run(str(file), "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    verdict = json.loads(done.stdout)
    assert (verdict["outcome"], verdict["span_id"]) == ("denied", "00f067aa0ba902b7")
    assert {"layer", "phase", "rule", "reason", "enforced_by", "entry", "confidence", "because", "principal", "client_address",
            "layers", "path", "side_effects", "findings"} <= set(verdict)  # fmt: skip


def test_standard_input_becomes_a_verdict_to_read():
    done = run("-", stdin=json.dumps(TRACE).encode())
    assert done.returncode == 0
    text = done.stdout.decode()
    assert text.startswith("denied, application, authz (medium confidence)")
    # What the trace wrote is shown; a terminal is not steered by it.
    assert "\x1b" not in text
    assert "\\u001b[31m" in text or "\\001b[31m" in text


@pytest.mark.parametrize("body", [b"", b"{}", b"no trace", b"\x00\xff\x00", b'{"resourceSpans": []}', b"[" * 100_000])
def test_what_is_no_trace_is_one_line_and_status_2(body):
    done = run("-", "--json", stdin=body)
    assert done.returncode == 2
    assert done.stdout == b""
    lines = done.stderr.decode().strip().splitlines()
    assert len(lines) == 1
    assert "Traceback" not in lines[0]


def test_a_file_that_is_not_there_is_one_line_and_status_2(tmp_path):
    done = run(str(tmp_path / "none.json"))
    assert done.returncode == 2
    assert len(done.stderr.decode().strip().splitlines()) == 1


def test_what_is_larger_than_a_trace_may_be_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(explain, "_LARGEST", 10)
    file = tmp_path / "trace.json"
    file.write_text("x" * 11)
    with pytest.raises(explain.NotATrace, match="larger"):
        explain.read(str(file))


def test_a_houses_own_rules_are_heeded(tmp_path, monkeypatch):
    (tmp_path / "gate.yaml").write_text("rules:\n  - id: x\n")
    monkeypatch.setenv("CLEW_ANALYSIS__RULES_DIR", str(tmp_path))
    with pytest.raises(explain.InvalidInput, match=r"gate\.yaml, line 2"):
        explain.judge(json.dumps(TRACE).encode())


def second(trace_id, span_id, status):
    text = json.dumps(TRACE).replace("5bd66ef5095369c7b0d1f8f4bd33716a", trace_id).replace("00f067aa0ba902b7", span_id)
    return text.replace('"403"', f'"{status}"')


def test_two_traces_become_the_place_where_they_part(tmp_path):
    denied, allowed = tmp_path / "denied.json", tmp_path / "allowed.json"
    denied.write_text(json.dumps(TRACE))
    allowed.write_text(second("a" * 32, "b" * 16, 200))
    done = run(str(denied), "--against", str(allowed))
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert "403 against 200" in text.splitlines()[0]
    assert "\x1b" not in text
    done = run(str(denied), "--against", str(allowed), "--json")
    found = json.loads(done.stdout)
    assert (found["parting"]["denied"]["span_id"], found["parting"]["allowed"]["span_id"]) == ("00f067aa0ba902b7", "b" * 16)


def test_two_traces_that_cannot_be_compared_say_so_and_end_well(tmp_path):
    file = tmp_path / "trace.json"
    file.write_text(second("a" * 32, "b" * 16, 200))
    done = run(str(file), "--against", "-", stdin=second("c" * 32, "b" * 16, 200).encode())
    assert done.returncode == 0
    assert done.stdout.decode().startswith("Both requests were let through")


def test_a_second_file_that_is_no_trace_is_an_error(tmp_path):
    file = tmp_path / "trace.json"
    file.write_text(json.dumps(TRACE))
    done = run(str(file), "--against", "-", stdin=b"{}")
    assert (done.returncode, done.stdout) == (2, b"")
    assert "not a trace" in done.stderr.decode()
