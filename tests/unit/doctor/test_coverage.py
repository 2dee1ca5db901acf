"""What sampled traces lack: signals, who, from where, services that fell silent."""

import msgspec
import pytest
from support.doctor_facts import WHOLE, facts, found, many, report, unknown

from app.analysis.verdict import Confidence
from app.doctor.facts import Missing
from app.doctor.finding import Severity

MUTE = """
gateway: GET /orders/7  403 client.address=203.0.113.9
  gateway: > GET http://orders:8080/orders/7  403
    orders: GET /orders/7  403
"""
PUBLIC = """
shop: GET /products  200 client.address=203.0.113.9
  shop: SELECT products
"""


def test_a_healthy_house_has_no_finding_and_a_full_score():
    told = report(facts())
    assert told.findings == ()
    assert told.unknown == ()
    assert told.score.value == 100


def test_a_service_that_refuses_without_a_word_is_named_with_its_share():
    [finding] = found("coverage.auth_signals", facts([*many(WHOLE, 30), *many(MUTE, 10, first=100)]))
    assert (finding.subject, finding.severity) == ("orders", Severity.HARMFUL)
    assert finding.measured == "10 of 40 refusals"  # the gateway only passes them on
    assert set(finding.evidence) <= {f"{n:032x}" for n in range(100, 110)}
    assert len(finding.evidence) == 5
    assert "auth.result" in finding.paste


def test_one_mute_refusal_is_an_accident():
    assert not found("coverage.auth_signals", facts([*many(WHOLE, 30), *many(MUTE, 1, first=100)]))


def test_without_any_signal_every_verdict_is_blind():
    [finding] = found("coverage.auth_signals", facts(many(PUBLIC, 20)))
    assert finding.severity is Severity.BROKEN


def test_an_entry_whose_requests_show_no_check_is_weak():
    [finding] = found("coverage.unchecked", facts([*many(WHOLE, 20), *many(PUBLIC, 20, first=100)]))
    assert (finding.subject, finding.severity) == ("shop", Severity.WEAK)


def test_health_probes_are_no_requests():
    probes = many("orders: GET /healthz  200", 60, first=500)
    assert report(facts([*many(WHOLE, 20), *probes])).findings == ()
    assert "no traces of requests" in unknown("coverage.auth_signals", facts(probes))


def test_unsure_verdicts_are_counted():
    found_ = found("coverage.verdicts", facts([*many(WHOLE, 10), *many(WHOLE, 10, first=50, confidence=Confidence.LOW)]))
    assert [one.measured for one in found_] == ["10 of 20 verdicts"]


def test_an_entry_without_addresses_is_harmful_and_one_proxy_for_all_is_weak():
    without = facts(many(WHOLE.replace("client.address=203.0.113.9", ""), 30))
    assert [one.severity for one in found("coverage.client_address", without)] == [Severity.HARMFUL]
    proxied = facts(many(WHOLE.replace("203.0.113.9", "10.0.0.4"), 30))
    assert [one.severity for one in found("coverage.client_address", proxied)] == [Severity.WEAK]


def test_checks_of_nobody_in_particular_are_weak():
    [finding] = found("coverage.principal", facts(many(WHOLE.replace("user.id=u-17", ""), 30)))
    assert finding.severity is Severity.WEAK


@pytest.mark.parametrize(("before", "severity"), [({"mail": 900}, Severity.HARMFUL), ({"mail": 3}, None)])
def test_a_service_that_fell_silent_is_found_and_a_rare_one_is_not(before, severity):
    spans = {"gateway": 1_000, "orders": 1_000}
    said = found("coverage.silent", facts(spans=spans, before=spans | before))
    assert [one.severity for one in said] == ([severity] if severity else [])


def test_where_everything_ebbs_the_silence_of_one_may_be_chance():
    said = found("coverage.silent", facts(spans={"gateway": 20}, before={"gateway": 2_000, "mail": 100}))
    assert said == []


def test_a_silent_service_that_is_still_called_is_broken():
    called = many("gateway: GET /a  200 client.address=203.0.113.9\n  gateway: > GET http://mail:80/send  200", 10, first=300)
    spans = {"gateway": 1_000, "orders": 1_000}
    [finding] = found("coverage.silent", facts([*many(WHOLE, 20), *called], spans=spans, before=spans | {"mail": 500}))
    assert finding.severity is Severity.BROKEN


def test_nothing_arrives_is_said_and_not_taken_for_calm():
    about = facts([], spans={}, before={"gateway": 500})
    [finding] = found("coverage.fresh", about)
    assert finding.severity is Severity.BROKEN
    assert "In the window before" in finding.title
    assert unknown("coverage.silent", about)
    assert unknown("coverage.auth_signals", about)


def test_a_tempo_that_does_not_answer_leaves_every_check_on_traces_unknown():
    gone = Missing("Tempo did not answer.")
    told = report(msgspec.structs.replace(facts(), traces=gone, spans=gone, before=gone))
    left = {check.check for check in told.unknown}
    assert {"coverage.fresh", "coverage.silent", "coverage.propagation_in", "privacy.secrets"} <= left
    assert told.score.unchecked > 0
