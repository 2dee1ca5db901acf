"""What must not matter does not: spellings, wrappers, further relays, sidecars, missing client spans, harmless reads.

Each labelled trace is changed in one such way and judged again; who decided must stay the same.
"""

import copy
import json

import golden.judgement
import golden.products
import golden.proxies_gateways
import golden.shop  # noqa: F401 - each module draws its traces when imported
import pytest
from golden.drawing import CASES, LABELS

from app.cli.explain import judge

SAME = ("outcome", "layer", "phase", "service", "span_id")
PROXIES = ("envoy", "kong-internal", "nginx")
OLD_TO_NEW = {
    "http.method": "http.request.method", "http.status_code": "http.response.status_code", "net.peer.name": "server.address",
    "db.system": "db.system.name", "db.statement": "db.query.text", "db.name": "db.namespace",
    "db.operation": "db.operation.name", "db.sql.table": "db.collection.name", "http.target": "url.path",
    "http.url": "url.full", "messaging.destination": "messaging.destination.name",
    "messaging.operation": "messaging.operation.type", "http.client_ip": "client.address",
}  # fmt: skip


def spans(document):
    """(resource group, scope group, span) of each span."""
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                yield group, scope, span


def by_parent(document):
    children = {}
    for _, _, span in spans(document):
        children.setdefault(span.get("parentSpanId"), []).append(span)
    return children


def moved(span, number, **changed):
    """A span of the same trace with an id of its own, a little inside of another one."""
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    return {"traceId": span["traceId"], "spanId": f"{int(span['spanId'], 16) ^ number:016x}", "kind": 1, "attributes": [],
            "status": {}, "startTimeUnixNano": str(start + 1000), "endTimeUnixNano": str(end - 1000), **changed}  # fmt: skip


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


def status_of(span):
    found = {a["key"]: a["value"] for a in span["attributes"]}
    value = found.get("http.response.status_code") or found.get("http.status_code")
    return (value.get("intValue") or value.get("stringValue")) if value else None


def in_a_wrapper(document):
    """A framework's span around the work of every request."""
    children = by_parent(document)
    wrapped = set()
    for _, scope, span in list(spans(document)):
        if span["kind"] == 2 and span["spanId"] in children and scope["scope"].get("name") not in PROXIES:
            if span["spanId"] in wrapped:
                continue  # the other copy of a span delivered twice
            wrapped.add(span["spanId"])
            wrapper = moved(span, 0xAAAA, name="controller", parentSpanId=span["spanId"])
            for child in children[span["spanId"]]:
                child["parentSpanId"] = wrapper["spanId"]
            scope["spans"].append(wrapper)
    return document


def behind_another_hop(document):
    """One more service in front that passes on whatever it is answered."""
    roots = {s["spanId"]: s for _, _, s in spans(document) if not s.get("parentSpanId")}
    if len(roots) != 1:
        return None
    (root,) = roots.values()
    status = status_of(root)
    if root["kind"] != 2 or status is None:
        return None
    start, end = int(root["startTimeUnixNano"]), int(root["endTimeUnixNano"])
    common = [text("http.request.method", "GET"), text("http.response.status_code", status)]
    served = moved(root, 0xBBBB, name="GET /front", kind=2, attributes=[*common, text("url.path", "/front")],
                   startTimeUnixNano=str(start - 2 * 10**6), endTimeUnixNano=str(end + 2 * 10**6))  # fmt: skip
    call = moved(root, 0xCCCC, name="GET", kind=3, parentSpanId=served["spanId"],
                 attributes=[*common, text("server.address", "inner"), text("url.full", "http://inner/q")],
                 startTimeUnixNano=str(start - 10**6), endTimeUnixNano=str(end + 10**6),
                 status={"code": 2} if int(status) >= 400 else {})  # fmt: skip
    for _, _, span in spans(document):
        if not span.get("parentSpanId"):
            span["parentSpanId"] = call["spanId"]
    document["resourceSpans"].append(
        {
            "resource": {"attributes": [text("service.name", "front-cache")]},
            "scopeSpans": [{"scope": {}, "spans": [served, call]}],
        }
    )
    return document


def without_call_spans(document):
    """Callers whose HTTP client is not instrumented: the server spans hang below the servers that called them."""
    children = by_parent(document)
    for _, scope, span in list(spans(document)):
        below = children.get(span["spanId"], [])
        is_call = span["kind"] == 3 and span.get("parentSpanId") and scope["scope"].get("name") != "envoy"
        if (
            is_call
            and len(below) == 1
            and below[0]["kind"] == 2
            and not any(a["key"].startswith("auth") for a in span["attributes"])
        ):
            below[0]["parentSpanId"] = span["parentSpanId"]
            scope["spans"].remove(span)
    return document


def behind_sidecars(document):
    """A mesh's proxy before every service that is called."""
    known = {s["spanId"]: (g, scope, s) for g, scope, s in spans(document)}
    proxies = {}
    for group, scope, span in list(spans(document)):
        caller = known.get(span.get("parentSpanId"))
        if span["kind"] != 2 or caller is None or caller[2]["kind"] != 3 or caller[0] is group:
            continue
        status = status_of(span)
        if status is None or "envoy" in (scope["scope"].get("name"), caller[1]["scope"].get("name")):
            continue
        service = next(a["value"]["stringValue"] for a in group["resource"]["attributes"] if a["key"] == "service.name")
        attributes = [text("component", "proxy"), text("node_id", "sidecar~10.0.0.1~x"), text("http.status_code", status),
                      text("response_flags", "-"), text("upstream_cluster", "inbound|8080||")]  # fmt: skip
        start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        proxy = moved(span, 0xDDDD, name="ingress", kind=2, attributes=attributes, parentSpanId=span["parentSpanId"],
                      startTimeUnixNano=str(start - 20_000), endTimeUnixNano=str(end + 20_000))  # fmt: skip
        span["parentSpanId"] = proxy["spanId"]
        proxies.setdefault(f"{service}.mesh", []).append(proxy)
    for service, made in proxies.items():
        document["resourceSpans"].append(
            {
                "resource": {"attributes": [text("service.name", service)]},
                "scopeSpans": [{"scope": {"name": "envoy"}, "spans": made}],
            }
        )
    return document


def with_harmless_reads(document):
    """A read at the start of every request."""
    for _, scope, span in list(spans(document)):
        long = int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) > 400_000
        if span["kind"] == 2 and long and scope["scope"].get("name") not in PROXIES:
            end = str(int(span["startTimeUnixNano"]) + 50_000)
            read = [text("db.system", "postgresql"), text("db.statement", "SELECT 1 FROM tenants")]
            scope["spans"].append(
                moved(span, 0xEEEE, name="SELECT", kind=3, attributes=read, parentSpanId=span["spanId"], endTimeUnixNano=end)
            )
    return document


def spelled(names):
    def change(document):
        for _, scope, span in spans(document):
            keys = {a["key"] for a in span["attributes"]}
            # Spring's and the AWS SDKs' attributes have one spelling each.
            if scope["scope"].get("name") != "org.springframework.boot" and not {"rpc.service", "aws.region"} <= keys:
                for attribute in span["attributes"]:
                    attribute["key"] = names.get(attribute["key"], attribute["key"])
        return document

    return change


def with_numbers_as_text(document):
    for _, _, span in spans(document):
        for attribute in span["attributes"]:
            if "intValue" in attribute["value"]:
                attribute["value"] = {"stringValue": str(attribute["value"]["intValue"])}
    return document


CHANGES = {
    "old spellings": (spelled({new: old for old, new in OLD_TO_NEW.items()}), set()),
    "new spellings": (spelled(OLD_TO_NEW), set()),
    "numbers as text": (with_numbers_as_text, set()),
    "in a wrapper": (in_a_wrapper, set()),
    "behind another hop": (behind_another_hop, set()),
    "with harmless reads": (with_harmless_reads, set()),
    # There the call's span is all the evidence, or the proxy that is put before the callee is itself what refused.
    "without call spans": (without_call_spans, {"traefik-forward-ok"}),
    "behind sidecars": (behind_sidecars, {"peer-403-without-server-span"}),
}


@pytest.fixture(scope="module")
def judged():
    """Each trace of the common form that is not huge, with its verdict."""
    small = [(name, doc) for name, doc in CASES if "resourceSpans" in doc and name != "export-of-many-rows"]
    return [(name, doc, judge(json.dumps(doc).encode())) for name, doc in small]


@pytest.mark.parametrize("change", CHANGES)
def test_what_must_not_matter_does_not(change, judged):
    apply, excepted = CHANGES[change]
    different = {}
    for name, document, before in judged:
        changed = apply(copy.deepcopy(document))
        if changed is None or name in excepted:
            continue
        after = judge(json.dumps(changed).encode())
        parts = {
            key: (getattr(before, key), getattr(after, key)) for key in SAME if getattr(before, key) != getattr(after, key)
        }
        if parts:
            different[name] = parts
    assert different == {}


def test_the_labels_are_those_of_the_traces():
    assert [label["name"] for label in LABELS] == [name for name, _ in CASES]
