"""Ground truth is written as it happens and read back as it was."""

import msgspec
import pytest

from app.errors import InvalidInput
from app.lab import attacks, expectations, truth
from app.times import UnixNanos


def request(run, number, attack="brute-force", expected=expectations.BAD_PASSWORD):
    return truth.Request(
        run=run, attack=attack, at_ns=UnixNanos(number), trace_id=f"{number:032x}", did=f"guess {number}", method="POST",
        path="/login", address="203.0.113.9", login="ada", status=401, as_expected=True, expected=expected,
    )  # fmt: skip


def begin(run):
    return truth.Begin(run, "brute-force", 7, UnixNanos(1), "guesses", ("AuthBruteForce",))


def test_runs_come_back_with_their_requests_and_ordinary_ones_apart(tmp_path):
    log = truth.Log(tmp_path / "deep" / "truth.jsonl")
    entities = truth.Entities(addresses=("203.0.113.9",), logins=("ada",))
    ended = truth.End("run-1", "brute-force", UnixNanos(9), 2, 0, entities)
    log.write([begin("run-1")])
    log.write([request("run-1", 2), request("run-1", 3), ended])
    log.write([request(truth.ORDINARY, 4, truth.ORDINARY, expectations.ALLOWED)])
    (run,), ordinary = truth.read(tmp_path / "deep" / "truth.jsonl")
    assert run == truth.Run(begin("run-1"), (request("run-1", 2), request("run-1", 3)), ended)
    assert [line.trace_id for line in ordinary] == [f"{4:032x}"]


def test_an_interrupted_run_has_no_end(tmp_path):
    truth.Log(tmp_path / "t").write([begin("run-1"), request("run-1", 2)])
    (run,), _ = truth.read(tmp_path / "t")
    assert run.end is None
    assert len(run.requests) == 1


def test_a_line_says_in_plain_json_what_the_shop_is_configured_to_answer(tmp_path):
    truth.Log(tmp_path / "t").write([request("run-1", 2, expected=expectations.NOT_THE_OWNER)])
    line = msgspec.json.decode((tmp_path / "t").read_bytes())
    assert line["kind"] == "request"
    assert line["expected"] == {
        "status": 404, "outcome": "denied", "layer": "application", "phase": "authz", "service": "orders",
        "reason": "forbidden", "findings": ["masked_denial"],
    }  # fmt: skip


def test_an_unknown_attack_is_answered_with_the_names_there_are():
    with pytest.raises(InvalidInput, match="brute-force"):
        attacks.named("nope")
