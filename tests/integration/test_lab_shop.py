"""The real shop under its named attacks: what was done, what it answered, what its spans say."""

from __future__ import annotations

import re
import stat
from collections import Counter

import pytest
from support.lab_shop import PEOPLE, open_shop

from app.analysis.examine import Context, examine
from app.analysis.verdict import Outcome
from app.lab import attacks, expectations, postgres, truth
from app.lab.config import BILLING, GATEWAY, IDENTITY, ORDERS, POLICY, SERVICES
from app.lab.services.identity import LOCK_AFTER
from app.traces.model import DefectKind, SpanKind, Status


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop.perform(list(attacks.ATTACKS), visits=60)


def named(trace, name, service=None):
    return [node.span for node in trace.nodes if node.span.name == name and service in (None, node.service)]


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_every_request_of_an_attack_is_answered_as_configured(done, name):
    run = done.runs[name]
    otherwise = [(line.did, line.status, line.expected.status) for line in run.requests if not line.as_expected]
    assert otherwise == []
    assert run.end.unexpected == 0
    assert run.end.requests == len(run.requests) > 0


def disagreements(done, line, trace_id, expected):
    """Fields in which Clew's verdict differs from the ground truth. A denial's fields are null where nothing was denied."""
    verdict = examine(done.traces[trace_id], context=Context(known_services=frozenset(SERVICES)))
    judged = ["outcome"] if expected.layer is None else ["outcome", "layer", "service"]
    if expected.phase is not None:
        judged.append("phase")
    found = {name: (getattr(verdict, name), getattr(expected, name)) for name in judged}
    if expected.reason is not None:
        found["reason"] = (expected.reason in (verdict.reason or ""), True)
    found["findings"] = (set(expected.findings) - {finding.kind for finding in verdict.findings}, set())
    if trace_id == line.trace_id:
        found["client_address"] = (verdict.client_address, line.address)
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("name", [*attacks.ATTACKS, truth.ORDINARY])
def test_clew_concludes_what_was_done(done, name):
    lines = done.ordinary if name == truth.ORDINARY else done.runs[name].requests
    judged = [(line, line.trace_id, line.expected) for line in lines]
    judged += [(line, line.detached_trace_id, line.detached_expected) for line in lines if line.detached_expected]
    wrong = [
        (line.did, found) for line, trace_id, expected in judged if (found := disagreements(done, line, trace_id, expected))
    ]
    assert wrong == []


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_every_request_of_an_attack_has_one_whole_trace(done, name):
    detached = set()
    for line in done.runs[name].requests:
        trace = done.trace(line)
        assert [root.span.resource.service for root in trace.roots] == [GATEWAY]
        assert not [defect for defect in trace.defects if defect.kind is not DefectKind.CLOCK_SKEW]
        detached.add(line.detached_trace_id)
    assert all(trace_id in done.traces for trace_id in detached - {""})


def test_ordinary_visitors_are_served_their_mistakes_included(done):
    assert [line for line in done.ordinary if not line.as_expected] == []
    outcomes = Counter(line.expected.outcome for line in done.ordinary)
    assert outcomes[Outcome.ALLOWED] > 10 * outcomes[Outcome.DENIED] > 0


def test_every_span_belongs_to_a_script(done):
    known = {line.trace_id for run in done.runs.values() for line in run.requests}
    known |= {line.detached_trace_id for run in done.runs.values() for line in run.requests}
    known |= {line.trace_id for line in done.ordinary}
    assert set(done.traces) <= known


def test_the_services_are_processes_of_their_own_and_say_who_they_are(done):
    pids = {}
    for span in done.spans:
        pids.setdefault(span.service, set()).add(span.resource.attributes["process.pid"])
    assert set(pids) == set(SERVICES)
    assert len(set().union(*pids.values())) == len(SERVICES)
    stores = {span.resource.attributes.get("lab.store") for span in done.spans if span.service == ORDERS}
    assert stores == {"postgresql: least-privilege roles and row-level security"}


def test_a_request_leaves_one_server_span_per_service(done):
    """FastAPI's own telemetry and the contributed instrumentation do not both count."""
    buy = done.requests("identity-outage", "after the outage")[0]
    servers = Counter(node.service for node in done.trace(buy).nodes if node.span.kind is SpanKind.SERVER)
    assert servers == {GATEWAY: 1, IDENTITY: 1, ORDERS: 1, POLICY: 1}


def test_generations_of_attribute_names_stand_side_by_side(done):
    line = done.requests("authorization-probing", "open a stranger's invoice")[0]
    trace = done.trace(line)
    (gateway,) = named(trace, "auth.permission_check", GATEWAY)
    (billing,) = named(trace, "auth.permission_check", BILLING)
    assert gateway.attributes["client.address"] == billing.attributes["net.peer.ip"] == line.address
    assert gateway.attributes["user.id"] == billing.attributes["auth.subject"] == PEOPLE.quiet[1].id
    assert billing.attributes["auth.username"] == PEOPLE.quiet[1].login
    (server,) = [node.span for node in trace.nodes if node.service == ORDERS and node.span.kind is SpanKind.SERVER]
    assert (server.attributes["http.status_code"], server.attributes["net.peer.ip"]) == (403, line.address)
    assert trace.roots[0].span.attributes["http.response.status_code"] == 403
    assert trace.roots[0].span.attributes["client.address"] == line.address


def test_a_refused_request_leaves_its_server_spans_unset(done):
    trace = done.trace(done.requests("authorization-probing", "staff list as a customer")[0])
    assert trace.roots[0].span.status is Status.UNSET


def test_brute_force_locks_the_account_and_names_nobody_in_clear(done):
    lines = done.requests("brute-force")
    victim = PEOPLE.support_on_leave[0]
    reasons = []
    for line in lines:
        (login,) = named(done.trace(line), "auth.login", IDENTITY)
        reasons.append(login.attributes["auth.failure_reason"])
        assert login.attributes["user.id"] == victim.id
        assert not any(victim.login in str(value) for value in login.attributes.values())
    assert reasons == ["invalid_credentials"] * LOCK_AFTER + ["account_locked"] * (len(lines) - LOCK_AFTER)
    hashes = {span.attributes["user.hash"] for line in lines for span in named(done.trace(line), "auth.login")}
    assert hashes == set(done.runs["brute-force"].end.entities.user_hashes)


def test_credential_stuffing_hits_twice_and_uses_what_it_got(done):
    run = done.runs["credential-stuffing"]
    hits = [line for line in run.requests if line.did == "try a leaked pair" and line.expected.outcome is Outcome.ALLOWED]
    assert sorted(line.login for line in hits) == sorted(run.end.entities.compromised)
    assert len(hits) == 2
    for hit in hits:
        later = [line for line in run.requests if line.login == hit.login and line.at_ns > hit.at_ns]
        assert any(line.method == "POST" and line.path == "/orders" and line.status == 201 for line in later)
    assert len(run.end.entities.logins) > 60


def test_spraying_stays_below_every_lock_out(done):
    tries = Counter(line.login for line in done.requests("password-spraying"))
    assert max(tries.values()) < LOCK_AFTER
    networks = {line.address.rsplit("::", 1)[0] for line in done.requests("password-spraying")}
    assert len(networks) > 15


def test_the_database_refuses_rows_of_others_and_tables_without_a_grant(done):
    for did, words in (
        ("order in a stranger's name", "violates row-level security policy"),
        ("ledger, which the service has no grant for", "permission denied for table ledger"),
    ):
        trace = done.trace(done.requests("authorization-probing", did)[0])
        refused = [
            event for node in trace.nodes if node.span.attributes.get("db.system") == "postgresql"
            for event in node.span.events
        ]  # fmt: skip
        assert [event.attributes["exception.type"] for event in refused] == ["psycopg.errors.InsufficientPrivilege"]
        assert words in refused[0].attributes["exception.message"]
        assert trace.roots[0].span.attributes["http.response.status_code"] == 500


def test_policy_denies_behind_a_200(done):
    trace = done.trace(done.requests("authorization-probing", "refund an own order")[0])
    (evaluated,) = named(trace, "policy.evaluate")
    assert evaluated.attributes["authz.decision"] == "deny"
    assert evaluated.attributes["authz.reason"] == "subject does not have role support"
    (server,) = [node.span for node in trace.nodes if node.service == POLICY and node.span.kind is SpanKind.SERVER]
    assert server.attributes["http.response.status_code"] == 200


def test_failing_open_pays_out_without_a_decision(done):
    for line in done.requests("fail-open", "while policy is down"):
        trace = done.trace(line)
        (asked,) = named(trace, "auth.authorize", ORDERS)
        assert (asked.attributes["auth.result"], asked.attributes["auth.fail_open"]) == ("error", True)
        assert not [node for node in trace.nodes if node.service == POLICY]
        assert inserted_refunds(trace) == 1


def test_an_ignored_denial_pays_out_after_it(done):
    for line in done.requests("fail-open", "only noted"):
        trace = done.trace(line)
        (asked,) = named(trace, "auth.authorize", ORDERS)
        assert asked.attributes["auth.result"] == "failure"
        (refund,) = [
            node.span for node in trace.nodes if "INSERT INTO refunds" in str(node.span.attributes.get("db.statement"))
        ]
        assert refund.start_ns >= asked.end_ns


def inserted_refunds(trace):
    return sum("INSERT INTO refunds" in str(node.span.attributes.get("db.statement")) for node in trace.nodes)


def test_after_the_repair_policy_is_heeded_again(done):
    assert inserted_refunds(done.trace(done.requests("fail-open", "after the repair")[0])) == 0


def test_an_outage_of_identity_closes_writes_and_leaves_reads(done):
    for line in done.requests("identity-outage", "order something during"):
        trace = done.trace(line)
        (check,) = named(trace, "auth.token_validate")
        assert check.attributes["auth.result"] == "error"
        (call,) = [node.span for node in trace.nodes if node.span.kind is SpanKind.CLIENT]
        assert call.status is Status.ERROR
        assert call.attributes["error.type"] == "ReadTimeout"
        assert call.attributes["peer.service"] == IDENTITY
    assert all(line.status == 200 for line in done.requests("identity-outage", "list own orders during"))


def test_dropped_context_splits_a_request_into_two_traces(done):
    lines = [line for line in done.requests("dropped-context") if line.detached_trace_id]
    assert len(lines) == 8
    for line in lines:
        services = {node.service for node in done.trace(line).nodes}
        assert services == {GATEWAY, ORDERS}
        loose = done.traces[line.detached_trace_id]
        assert {node.service for node in loose.nodes} == {BILLING}
        assert line.detached_expected in (expectations.LONE_ANSWER, expectations.LONE_REFUSAL)
        assert loose.roots[0].span.attributes["http.response.status_code"] == line.detached_expected.status


def test_a_stolen_token_shows_as_one_session_from_two_addresses(done):
    run = done.runs["stolen-token"]
    (session,) = run.end.entities.sessions
    seen = Counter(
        span.attributes["client.address"]
        for line in run.requests
        for span in named(done.trace(line), "auth.token_validate")
        if span.attributes["session.id"] == session
    )
    assert len(seen) == 2
    assert set(run.end.entities.addresses) < set(seen)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory):
    """Another shop of the same seed, without PostgreSQL."""
    base = tmp_path_factory.mktemp("sqlite")
    place = base / "shop" / "shop.json"
    with open_shop(base, sqlite=True) as shop:
        assert stat.S_IMODE(place.stat().st_mode) == 0o600, "it holds the keys to the shop's control routes"
        yield shop.perform(["credential-stuffing", "authorization-probing"])
    assert not place.exists(), "a shop that has stopped is not to be found"


def test_the_same_seed_does_the_same_again(done, on_sqlite):
    def deeds(performed):
        requests = performed.requests("credential-stuffing")
        return [(line.did, line.address, line.login, line.path, line.status) for line in requests]

    assert deeds(on_sqlite) == deeds(done)
    assert (
        on_sqlite.runs["credential-stuffing"].end.entities.user_hashes
        == done.runs["credential-stuffing"].end.entities.user_hashes
    )


def test_without_postgresql_sqlite_refuses_the_same_and_says_so(on_sqlite):
    assert on_sqlite.database == "sqlite"
    assert on_sqlite.runs["authorization-probing"].end.unexpected == 0
    stores = {span.resource.attributes["lab.store"] for span in on_sqlite.spans if span.service == ORDERS}
    assert stores == {"sqlite: authorizer callback and triggers stand in for roles and row-level security"}
    trace = on_sqlite.trace(on_sqlite.requests("authorization-probing", "order in a stranger's name")[0])
    events = [event for node in trace.nodes if node.span.attributes.get("db.system") == "sqlite" for event in node.span.events]
    assert "belongs to another user" in events[0].attributes["exception.message"]


def test_a_postgresql_that_cannot_run_is_replaced_with_its_reason(tmp_path, monkeypatch):
    broken = tmp_path / "bin"
    broken.mkdir()
    initdb = broken / "initdb"
    initdb.write_text("#!/bin/sh\necho 'initdb: error: no space left' >&2\nexit 1\n")
    initdb.chmod(0o755)
    monkeypatch.setattr(postgres, "binaries", lambda: broken)
    with open_shop(tmp_path) as shop:
        assert shop.shop.database == "sqlite"
        # As root the stub cannot even be reached by the unprivileged user: either way the reason is told.
        assert re.search("initdb (failed: .*no space left|could not be run: .*Permission denied)", shop.guard)
    assert not (tmp_path / "shop" / "postgres.path").exists()
