"""Draw traces as nested calls and encode them as OTLP/JSON with a label beside each.

    case("name", S("gateway", "GET /x", "server", 0, 40, {...}, [S(...), ...], tag="origin"),
         outcome="denied", layer="api_gateway", service="gateway", span="origin", reason="expired", why="...")

Times are ms from the trace's start. A span without a start begins after its elder sibling (`beside=True`: together with
it; `later=200`: 200 ms after its parent has ended), and one without a duration ends after its children.
`tag` names a span, for `span=`, `enforced_by_span=`, `parent=` and `links=`. `span=("a", "b")` accepts either span, as a
list does in any exact field. Only the fields that a label names are checked (see score.py); `why` is for the reader.
"""

import base64
import hashlib
import json

BASE_NS = 1_789_999_200 * 10**9
KIND = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUS = {"unset": 0, "ok": 1, "error": 2}
FIELDS = {
    "outcome",
    "layer",
    "phase",
    "service",
    "span_id",
    "reason",
    "principal",
    "client_address",
    "entry_status",
    "enforced_by",
    "enforced_by_span_id",
    "confidence",
    "findings",
    "no_findings",
    "side_effects",
    "layers",
    "absent",
    "why",
}


class S:
    def __init__(
        self,
        service,
        name,
        kind="internal",
        start=None,
        dur=None,
        attrs=None,
        children=(),
        *,
        status="unset",
        message="",
        events=(),
        links=(),
        scope="",
        tag=None,
        resource=None,
        parent=None,
        drop=False,
        copies=1,
        beside=False,
        later=None,
        extra=None,
    ):
        self.__dict__.update(locals())
        self.attrs = attrs or {}
        self.fixed = start, dur


def value(v):
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v}
    if isinstance(v, dict):
        return {"kvlistValue": {"values": attributes(v)}}
    if isinstance(v, (list, tuple)):
        return {"arrayValue": {"values": [value(x) for x in v]}}
    return {"stringValue": str(v)}


def attributes(d):
    return [{"key": k, "value": value(v)} for k, v in d.items()]


def hexid(*parts, n=16):
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:n]


def small(*parts):
    """A number from 0 to 1 that is the same in every run."""
    return int(hexid(*parts, n=8), 16) / 0xFFFFFFFF


def place(s, at, seed):
    """Give times to a span and what lies under it; a draw may be used twice, so earlier answers are forgotten."""
    s.start, s.dur = s.fixed
    if s.start is None:
        s.start = at
    cursor = begun = s.start + 0.2 + small(seed, s.name) / 2
    for i, c in enumerate(s.children):
        if c.later is None:
            begun = begun + 0.1 if c.beside else cursor
            place(c, begun, f"{seed}.{i}")
            cursor = max(cursor, c.start + c.dur + 0.1 + small(seed, i) / 2)
    if s.dur is None:
        s.dur = cursor - s.start + 0.2 if s.children else 0.4 + 4 * small(seed, s.name, "leaf")
    for i, c in enumerate(s.children):
        if c.later is not None:
            place(c, s.start + s.dur + c.later, f"{seed}.{i}")


CASES, LABELS = [], []


def case(name, *roots, form="otlp", skew=None, partial=False, **label):
    """form: otlp, v1 or v2 (the JSON of Tempo's two trace routes). skew: {service: ms} for hosts with a wrong clock."""
    trace_id = hexid("trace", name, n=32)
    base = BASE_NS + len(CASES) * 7 * 10**9
    groups, tags, spans = {}, {}, []

    def walk(s, parent_id, path):
        sid = hexid("span", name, path)
        if s.tag:
            assert s.tag not in tags, (name, s.tag)
            tags[s.tag] = sid
        spans.append((s, sid, parent_id))
        for i, c in enumerate(s.children):
            walk(c, sid, f"{path}.{i}")

    for i, r in enumerate(roots):
        place(r, i * 3.0, f"{name}.{i}")
        walk(r, None, str(i))
    for s, sid, parent_id in spans:
        if s.drop:
            continue
        wrong = (skew or {}).get(s.service, 0)

        def ns(ms, wrong=wrong):
            return str(base + int((ms + wrong) * 10**6))

        span = {
            "traceId": trace_id,
            "spanId": sid,
            "name": s.name,
            "kind": KIND[s.kind],
            "startTimeUnixNano": ns(s.start),
            "endTimeUnixNano": ns(s.start + s.dur),
            "attributes": attributes(s.attrs),
            "status": {k: v for k, v in (("code", STATUS[s.status]), ("message", s.message)) if v},
        }
        parent = tags.get(s.parent, s.parent) or parent_id
        if parent:
            span["parentSpanId"] = parent
        if s.events:
            span["events"] = [
                {"timeUnixNano": ns(s.start + s.dur * 0.9 if t is None else t), "name": en, "attributes": attributes(a)}
                for t, en, a in s.events
            ]
        if s.links:
            span["links"] = [
                {"traceId": t, "spanId": i, "attributes": []}
                for t, i in ((trace_id, tags[x]) if isinstance(x, str) else x for x in s.links)
            ]
        span.update(s.extra or {})
        res = {"service.name": s.service, **(s.resource or {})}
        key = json.dumps(res, sort_keys=True)
        for _ in range(s.copies):
            groups.setdefault(key, (res, {}))[1].setdefault(s.scope, []).append(span)
    for short, full in (("span", "span_id"), ("enforced_by_span", "enforced_by_span_id")):
        if short in label:
            tag = label.pop(short)
            label[full] = tags[tag] if isinstance(tag, str) else [tags[t] for t in tag]
    assert not set(label) - FIELDS, (name, set(label) - FIELDS)
    assert name not in [row["name"] for row in LABELS], name
    CASES.append((name, document(groups, form, partial)))
    LABELS.append({"name": name, "trace_id": trace_id, **label})


def document(groups, form, partial):
    rows = [
        {
            "resource": {"attributes": attributes(res)},
            "scopeSpans": [
                {"scope": {"name": sc} if sc else {}, "spans": [tempo(s) if form != "otlp" else s for s in found]}
                for sc, found in scopes.items()
            ],
        }
        for res, scopes in groups.values()
    ]
    if form == "v1":
        return {"batches": rows}
    if form == "v2":
        end = {"status": "PARTIAL", "message": "trace exceeds max size"} if partial else {}
        return {"trace": {"resourceSpans": rows}, "metrics": {"inspectedBytes": "178440"}, **end}
    return {"resourceSpans": rows}


def tempo(span):
    """The same span as Tempo's routes spell it: ids in base64, enums in words."""

    def ids(d):
        return {
            **d,
            **{k: base64.b64encode(bytes.fromhex(d[k])).decode() for k in ("traceId", "spanId", "parentSpanId") if k in d},
        }

    kinds = {v: f"SPAN_KIND_{k.upper()}" for k, v in KIND.items()}
    codes = {v: f"STATUS_CODE_{k.upper()}" for k, v in STATUS.items()}
    status = {k: codes[v] if k == "code" else v for k, v in span["status"].items()}
    out = {**ids(span), "kind": kinds[span["kind"]], "status": status}
    if "links" in span:
        out["links"] = [ids(x) for x in span["links"]]
    return out
