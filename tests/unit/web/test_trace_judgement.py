"""The judgement says who refused whom and why, what it rests on, and what is not known."""

import msgspec
from support.stories import (
    SERVER,
    Teller,
    allowed,
    broken_policy,
    failed_open,
    http,
    let_through,
    refused_by_policy,
    refused_out_of_sight,
    span_id,
    verdict,
)

from app.analysis.verdict import Finding, FindingKind, Ground
from app.web.views.asked import Asked
from app.web.views.findings import defects, effects, findings
from app.web.views.judgement import Judgement, judgement
from app.web.views.reading import Reading
from app.web.views.told import Part, told


def judged(story, **asked) -> Judgement:
    trace, found = story
    return judgement(Reading(trace, found), Asked(trace.trace_id, **asked))


def text(parts) -> str:
    return "".join(part.text for part in parts)


def facts(found: Judgement) -> dict[str, str]:
    return {fact.term: fact.words for fact in found.facts}


def test_the_sentence_sets_the_names_apart():
    found = judged(refused_by_policy())
    assert text(found.sentence) == "policy refused mallory: subject is not a member of tenant 42"
    assert [part.text for part in found.sentence if part.is_name] == ["policy", "mallory"]


def test_a_reason_is_quoted_though_a_word_of_it_is_also_a_services_name():
    trace, found = refused_by_policy()
    sentence = "policy refused mallory: row-level security policy of orders"
    quoted = msgspec.structs.replace(
        found, reason="row-level security policy of orders", sentence=f"{sentence}. orders went on."
    )
    shown = judged((trace, quoted)).sentence
    assert text(shown) == quoted.sentence
    assert [part.text for part in shown if part.is_name] == ["policy", "mallory", "orders"]


def test_allowed_past_a_check_that_broke_is_told_as_such_and_leads_to_what_broke():
    found = judged(failed_open())
    assert found.failed_open
    assert found.jump == "Jump to what broke"
    assert found.jump_href.endswith(f"#s-{span_id('ask')}")
    assert not judged(allowed()).failed_open
    assert not judged(let_through()).failed_open


def test_what_others_did_with_the_refusal_stands_below_it():
    assert text(judged(refused_by_policy()).sub) == (
        "orders enforced it with a 403. edge-gateway passed the 403 on to the client. "
        "The deciding span itself answered 200, so no status marks it."
    )


def test_each_proof_names_attribute_value_span_and_rule():
    first, _, third = judged(refused_by_policy()).proofs
    assert (first.attribute, first.value, first.rule) == ("authz.decision", '"deny"', "pdp-decision-attribute")
    assert (third.attribute, third.value) == ("http.response.status_code", "403")
    assert third.href.endswith(f"?span={span_id('orders')}#s-{span_id('orders')}")


def test_an_attribute_that_gives_decision_and_reason_stands_once():
    trace, found = broken_policy()
    twice = (*found.grounds, Ground("It says why.", "origin", span_id("ask"), "error.type", "timeout"))
    assert len(judged((trace, msgspec.structs.replace(found, grounds=twice))).proofs) == 1


def test_what_only_looks_like_the_origin_is_ruled_out():
    assert [proof.span for proof in judged(refused_by_policy()).ruled_out] == ["POST /orders"]


def test_whom_and_what_it_concerns():
    assert facts(judged(refused_by_policy())) == {
        "Principal": "mallory", "Client": "203.0.113.50", "Session": "s-5e07b1", "Resource": "42",
        "Client saw": "403 Forbidden", "Trace": "whole, but one hop sends no spans",
    }  # fmt: skip


def test_the_jump_goes_to_the_deciding_span_on_the_overview():
    found = judged(refused_by_policy(), start=10, span=span_id("gw"))
    assert found.jump == "Jump to the deciding span"
    assert found.jump_href == f"/traces/9088011ad4c4f4572a769dcd71ab9933#s-{span_id('decide')}"


def test_an_open_verdict_says_what_would_settle_it_and_jumps_to_the_gap():
    found = judged(refused_out_of_sight())
    assert found.settles == ("The server span of entitlements", "A result attribute on the call to entitlements")
    assert found.jump == "Jump to the gap"
    assert found.jump_href.endswith(f"#s-{span_id('ask-ent')}")
    assert text(found.sub).startswith("The server span of entitlements is missing.")
    assert facts(found)["Trace"] == "1 hop missing"


def test_a_failure_is_told_as_a_failure():
    found = judged(broken_policy())
    assert found.kicker == ("at the policy engine", "authorization")
    assert text(found.sub) == "The client got 403 Forbidden."
    trace, verdict = broken_policy()
    silent = msgspec.structs.replace(verdict, sentence="policy did not answer orders in 2 s")
    assert text(judged((trace, silent)).sub) == "orders failed closed: it refused with a 403 because it could not ask."


def test_a_bypass_says_what_ran_after_the_refusal_and_what_the_client_got():
    assert text(judged(let_through()).sub) == "UPDATE orders ran 400 µs after the refusal. The client got 200 OK."


def test_an_allowed_request_says_what_the_client_got():
    assert text(judged(allowed()).sub) == "The client got 201 Created."


def test_silence_is_told_calmly_with_what_was_read():
    trace, _ = allowed()
    found = judged((trace, verdict(trace)))
    assert found.kicker == ()
    assert text(found.sub) == "5 spans of 2 services were read, and no rule found a decision in them."


def test_a_partial_answer_is_told_among_the_facts():
    t = Teller()
    t.span("gw", "", "shop", "GET /", 0, 1, SERVER, http(200))
    trace = t.trace(partial=True, note="trace exceeds max size")
    assert facts(judged((trace, verdict(trace))))["Trace"] == "in part: the backend left spans out"


# -------------------------------------------------------------------------------------------- findings and effects


def test_the_loudest_finding_comes_first_and_leads_to_its_span():
    trace, found = refused_by_policy()
    rows = findings(Reading(trace, found), Asked(trace.trace_id))
    assert [(row.severity, row.title) for row in rows] == [
        ("warning", "Acted after the refusal"), ("info", "Passed on"), ("info", "A hop cannot be seen"),
    ]  # fmt: skip
    assert rows[0].href.endswith(f"#s-{span_id('publish')}")


def test_many_findings_of_one_kind_become_a_few_and_a_number():
    trace, _ = allowed()
    many = tuple(Finding(FindingKind.MISSING_HOP, "x", span_id("ask"), "x is missing.") for _ in range(500))
    rows = findings(Reading(trace, verdict(trace, findings=many)), Asked(trace.trace_id))
    assert [row.more for row in rows] == [0, 0, 497]


def test_effects_stand_on_both_sides_of_the_refusal_with_their_distance():
    trace, found = refused_by_policy()
    table = effects(Reading(trace, found), Asked(trace.trace_id))
    assert table.since == "measured from the refusal, 94.6 ms"
    assert [(row.when, row.what, row.where) for row in table.rows] == [
        ("−48.6 ms", "INSERT shop.order_drafts", "shop-db"),
        ("0", "policy refused", ""),
        ("+4.9 ms", "INSERT shop.audit_log", "shop-db"),
        ("+17.4 ms", "publish orders.events", "orders.events"),
        ("+24.9 ms", "POST notify", "notify"),
    ]
    assert [row.is_strong for row in table.rows] == [False, False, False, True, True]


def test_without_a_refusal_effects_are_measured_from_the_start():
    trace, found = allowed()
    table = effects(Reading(trace, found), Asked(trace.trace_id))
    assert [(row.when, row.line) for row in table.rows] == [("7.9 ms", False)]


def test_what_was_wrong_with_the_data_is_told_in_its_own_words():
    t = Teller()
    t.span("gw", "", "shop", "GET /", 0, 1)
    t.span("lost", "nobody", "shop", "job", 0, 1)
    trace = t.trace()
    assert [row.title for row in defects(Reading(trace, verdict(trace)))] == ["Parents missing"]


# ------------------------------------------------------------------------------------------------------------- names


def test_a_name_inside_a_longer_word_is_left_alone():
    assert told("orders sent orders.events, reorders", ["orders"]) == (
        Part("orders", is_name=True), Part(" sent orders.events, reorders"),
    )  # fmt: skip


def test_the_longer_of_two_names_wins_and_patterns_are_literal():
    assert told("shop-db and a.c, not abc", ["shop", "shop-db", "a.c"]) == (
        Part("shop-db", is_name=True), Part(" and "), Part("a.c", is_name=True), Part(", not abc"),
    )  # fmt: skip


def test_a_call_named_by_its_method_alone_is_told_with_whom_it_went_to():
    trace, found = failed_open()
    (finding,) = findings(Reading(trace, found), Asked(trace.trace_id))
    assert finding.span == "POST policy"
    assert [row.what for row in effects(Reading(trace, found), Asked(trace.trace_id)).rows] == ["INSERT shop"]
