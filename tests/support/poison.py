"""A trace that an attacker wrote: a payload in every place that a sender chooses, and a verdict that repeats it."""

from __future__ import annotations

from support.stories import CLIENT, INNER, SERVER, Teller, hop, span_id, verdict

from app.analysis.verdict import (
    Decision,
    EffectKind,
    EffectTime,
    Finding,
    FindingKind,
    Ground,
    Layer,
    LayerDecision,
    Outcome,
    Phase,
    Place,
    SideEffect,
    Verdict,
)
from app.traces.model import Event, Link, Status, Trace

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "' autofocus onfocus=alert(1) x='",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "<a hx-get=/logout hx-trigger=load>x</a>",
    "<div data-hx-post='/cases' hx-on:load='alert(1)'></div>",
    "</textarea></title></style></noscript><iframe src=//evil.example>",
    "<base href=//evil.example/><meta http-equiv=refresh content='0;url=//evil.example'>",
    "]]><!--<x onmouseover=alert(1)>-->",
    "invoice\u202efdp.exe",
    "\x1b[2J\x1b[31mall is well\x00",
    "adm\u200bin p\u0430yp\u0430l",
    "=HYPERLINK(\"http://evil.example\")",
    "%3Cscript%3Ealert(1)%3C/script%3E",
)  # fmt: skip


def poisoned(payload: str) -> tuple[Trace, Verdict]:
    """The trace and the verdict."""
    t = Teller()
    everywhere = {
        payload: payload, "http.request.method": payload, "http.route": payload, "url.path": payload,
        "client.address": payload, "session.id": payload, "auth.failure_reason": payload, "authz.resource": f"k:{payload}",
        "list": [payload, {payload: payload}], "http.response.status_code": 403,
    }  # fmt: skip
    t.span("gw", "", payload, payload, 0, 100, SERVER, everywhere, trace_state=payload)
    t.span("orders", "gw", f"{payload}-2", payload, 5, 90, SERVER, everywhere)
    check = t.span("check", "orders", f"{payload}-2", payload, 10, 20, INNER, everywhere, status=Status.ERROR,
                   status_message=payload, events=(Event(payload, t.spans[0].start_ns, {payload: payload}),),
                   links=(Link("b" * 32, "c" * 16, {payload: payload}),))  # fmt: skip
    t.span("db", "orders", f"{payload}-2", payload, 30, 40, CLIENT,
           {"db.system.name": payload, "server.address": payload, "db.collection.name": payload})  # fmt: skip
    for n in range(40):
        t.span(f"n{n}", "orders", payload, payload, 41 + n / 10, 42 + n / 10, INNER, {payload: payload})
    trace = t.trace(partial=True, note=payload)
    return trace, verdict(
        trace, outcome=Outcome.DENIED, layer=Layer.APPLICATION, phase=Phase.AUTHZ, service=f"{payload}-2", span_id=check,
        rule=payload, reason=payload, enforced_by=Place(f"{payload}-2", span_id("orders"), 403),
        entry=Place(payload, span_id("gw"), 403), principal=payload, client_address=payload, because=(payload, payload),
        layers=(
            LayerDecision(Layer.APPLICATION, f"{payload}-2", Decision.DENY, check, payload, target="", rule=payload),
            LayerDecision(Layer.DATABASE, payload, Decision.ALLOW, span_id("db"), payload, target=payload),
            LayerDecision(Layer.APPLICATION, payload, Decision.NOT_REACHED, reason=payload, target=payload),
        ),
        path=(hop(trace, "gw", None, 403, relay=True), hop(trace, "orders", payload, 403)),
        side_effects=(SideEffect(payload, span_id("db"), EffectKind.DB_WRITE, payload, EffectTime.AFTER_DENIAL),),
        findings=(Finding(FindingKind.MISSING_HOP, payload, span_id("db"), payload),
                  Finding(FindingKind.RELAYED_BY, payload, span_id("gw"), payload)),
        sentence=f"{payload}-2 refused {payload}: {payload}", settles=(payload,),
        grounds=(Ground(payload, "origin", check, payload, payload, payload),
                 Ground(payload, "ruled_out", span_id("gw"), payload, payload, payload)),
    )  # fmt: skip
