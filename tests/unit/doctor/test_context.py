"""How whole traces are: lost context, services without an SDK, missing hops, orphans, clocks."""

import msgspec
import pytest
from support.doctor_facts import WHOLE, facts, found, many, observe, report

from app.doctor.finding import Severity

ENTRY = "gateway: GET /pay  200 client.address=203.0.113.9\n  gateway: auth.token_validate  auth=passed user.id=u-1\n"
LOST = ENTRY + "  gateway: > POST http://billing:8080/pay  200"
DETACHED = "billing: POST /pay  200\n  billing: auth.authorize  auth=passed user.id=u-1"
PAID = LOST + "\n    billing: POST /pay  200\n      billing: auth.authorize  auth=passed user.id=u-1"
OTHER = PAID.replace("gateway", "kiosk")


def test_context_that_is_lost_on_the_way_in_is_found_with_both_halves():
    [finding] = found("coverage.propagation_in", facts([*many(LOST, 20), *many(DETACHED, 20, first=100)]))
    assert (finding.subject, finding.severity) == ("billing", Severity.BROKEN)
    assert finding.measured == "20 of 20 calls to billing"
    halves = {int(one, 16) >= 100 for one in finding.evidence}
    assert halves == {True, False}
    assert "traceparent" in finding.remedy


def test_where_other_callers_get_through_it_is_the_callers_fault():
    about = facts([*many(LOST, 20), *many(OTHER, 20, first=50), *many(DETACHED, 20, first=100)])
    [finding] = found("coverage.propagation_out", about)
    assert finding.subject == "gateway"
    assert not found("coverage.propagation_in", about)


def test_both_halves_of_a_few_requests_are_enough_and_the_second_half_is_no_entry():
    about = facts([*many(PAID, 8), *many(LOST, 2, first=50), *many(DETACHED, 5, first=100)])
    [finding] = found("coverage.propagation_in", about)
    assert (finding.subject, finding.measured) == ("billing", "2 of 10 calls to billing")
    assert not found("coverage.client_address", about)


def test_a_lost_span_of_a_service_that_people_also_call_directly_is_no_lost_context():
    direct = DETACHED.replace("POST /pay  200", "POST /pay  200 client.address=198.51.100.7")
    about = facts([*many(PAID, 8), *many(LOST, 2, first=50), *many(direct, 20, first=100)])
    assert not found("coverage.propagation_in", about)
    assert not found("coverage.client_address", about)


def test_traces_that_begin_in_a_service_are_no_loss_while_every_call_is_answered():
    about = facts([*many(PAID, 20), *many(DETACHED, 20, first=100)])
    assert not found("coverage.propagation_in", about)
    assert not found("coverage.propagation_out", about)


def test_a_service_without_an_sdk_is_named():
    about = facts([*many(WHOLE, 10), *many(LOST, 10, first=50)])
    [finding] = found("coverage.uninstrumented", about)
    assert (finding.subject, finding.severity) == ("billing", Severity.HARMFUL)
    assert "OTEL_SERVICE_NAME=billing" in finding.paste


@pytest.mark.parametrize("host", ["api.stripe.com", "hooks.example.org"])
def test_services_of_others_need_not_send_spans(host):
    about = facts([*many(WHOLE, 10), *many(LOST.replace("billing:8080", host), 10, first=50)])
    assert not found("coverage.uninstrumented", about)


@pytest.mark.parametrize("end", ["503", "error"])
def test_a_call_that_nobody_answered_proves_nothing(end):
    about = facts(
        [*many(WHOLE, 10), *many(LOST.replace("/pay  200", f"/pay  {end}").replace("GET /pay  503", "GET /pay  200"), 10)]
    )
    assert not found("coverage.uninstrumented", about)


def test_a_peer_is_known_by_its_address_where_it_has_no_name_of_its_own():
    by_address = "server.address=10.1.2.3 server.port=8080"
    lost = ENTRY + f"  gateway: > POST http://10.1.2.3:8080/pay  200 {by_address}"
    detached = DETACHED.replace("POST /pay  200", f"POST /pay  200 {by_address}")
    [finding] = found("coverage.propagation_in", facts([*many(lost, 20), *many(detached, 20, first=100)]))
    assert finding.subject == "billing"


def test_a_hop_that_is_stored_elsewhere_or_not_at_all_is_missing():
    about = facts([*many(PAID, 20), *many(LOST, 8, first=100)])
    [finding] = found("coverage.missing_hops", about)
    assert (finding.subject, finding.measured) == ("billing", "8 of 28 calls")


def test_traces_still_under_way_are_not_missed():
    young = [msgspec.structs.replace(one, fresh=True) for one in many(LOST, 8, first=100)]
    assert report(facts([*many(PAID, 20), *young])).findings == ()


def test_orphans_are_counted_by_trace():
    torn = WHOLE.replace("orders: GET /orders/7  403", "orders: GET /orders/7  403 parent=gone")
    torn = torn.replace(
        "gateway: > GET http://orders:8080/orders/7  403", "gateway: > GET http://orders:8080/orders/7  403 drop"
    )
    assert any(part.orphans for part in observe(torn.replace(" parent=gone", "")).parts)
    [finding] = found("coverage.orphans", facts([*many(WHOLE, 20), *many(torn.replace(" parent=gone", ""), 5, first=100)]))
    assert finding.measured == "5 of 25 traces"


def test_traces_of_one_span_are_weak():
    lone = "edge: GET /a  403 client.address=203.0.113.9 auth.result=failure"
    [finding] = found("coverage.single_spans", facts([*many(WHOLE, 20), *many(lone, 15, first=100)]))
    assert (finding.subject, finding.severity) == ("edge", Severity.WEAK)


def _skewed(count, *, service="orders", shift_ns, first=0):
    def moved(one):
        parts = tuple(msgspec.structs.replace(p, shift_ns=shift_ns) if p.service == service else p for p in one.parts)
        return msgspec.structs.replace(one, parts=parts)

    return [moved(one) for one in many(WHOLE, count, first=first)]


@pytest.mark.parametrize(("shift_ms", "severity"), [(-4_000, Severity.HARMFUL), (200, Severity.WEAK), (3, None)])
def test_a_clock_that_is_off_is_found_by_what_it_took_to_correct_it(shift_ms, severity):
    said = found("coverage.clock_skew", facts(_skewed(20, shift_ns=shift_ms * 1_000_000)))
    assert [(one.subject, one.severity) for one in said] == ([("orders", severity)] if severity else [])
    if severity is Severity.HARMFUL:
        assert "4.0 s ahead" in said[0].title


def test_where_all_others_had_to_be_moved_alike_it_is_the_entrys_clock():
    text = (
        WHOLE
        + """
  gateway: > GET http://stock:8080/stock  200
    stock: GET /stock  200
"""
    )
    seen = [
        msgspec.structs.replace(
            one, parts=tuple(msgspec.structs.replace(p, shift_ns=5 * 10**9 * (p.service != "gateway")) for p in one.parts)
        )
        for one in many(text, 20)
    ]
    [finding] = found("coverage.clock_skew", facts(seen))
    assert finding.subject == "gateway"
    assert "ahead" in finding.title


def test_traces_that_tempo_cuts_are_told():
    [finding] = found("coverage.partial", facts([*many(WHOLE, 20), *many(WHOLE, 2, first=50, partial=True)]))
    assert finding.measured == "2 of 22 traces"


def test_the_table_tells_each_services_shares():
    rows = {row.service: row for row in report(facts([*many(PAID, 30), *many(LOST, 10, first=100)])).services}
    assert (rows["gateway"].context_out.n, rows["gateway"].context_out.of) == (30, 40)
    assert (rows["billing"].context_in.n, rows["billing"].context_in.of) == (30, 40)
    assert rows["gateway"].on_auth_path
    assert rows["gateway"].client_address.part == 1
    assert rows["billing"].auth_signals.part == 1
