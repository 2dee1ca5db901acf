"""Parameters, edges and errors of the Tempo API; what it finds is settled by tests/conformance and test_plan."""

import httpx2 as httpx
import pytest

from app.embedded import search, tags
from app.embedded.app import Backend
from app.embedded.tempo_api import Switches
from app.times import now_ns

SECOND = 1_000_000_000


@pytest.fixture
async def ask(backend):
    async def ask(path, **params):
        headers = params.pop("headers", None)
        return await backend.query_client.get(path, params=params, headers=headers)

    return ask


@pytest.fixture
def hold(backend):
    def hold(*spans):
        backend.store.append(spans).result(timeout=10)

    return hold


@pytest.mark.parametrize(
    ("path", "params", "words"),
    [
        ("/api/search", {"limit": "many"}, "invalid limit"),
        ("/api/search", {"limit": "0"}, "invalid limit"),
        ("/api/search", {"limit": "262145"}, "invalid limit"),
        ("/api/search", {"limit": "-1"}, "invalid limit"),
        ("/api/search", {"limit": "１"}, "invalid limit"),
        ("/api/search", {"spss": "101"}, "invalid spss"),
        ("/api/search", {"start": "5"}, "together"),
        ("/api/search", {"start": "5", "end": "5"}, "start must be before end"),
        ("/api/search", {"start": "x", "end": "5"}, "invalid start"),
        ("/api/search", {"start": "1", "end": "604802"}, "exceeds 168h0m0s"),
        ("/api/search", {"since": "yesterday"}, "invalid since"),
        ("/api/search", {"q": "{ .a = }"}, "invalid TraceQL query"),
        ("/api/search", {"q": "{ }", "tags": "a=b"}, "can't specify tags and q"),
        ("/api/search", {"tags": "a"}, "invalid tags"),
        ("/api/search", {"tags": "a=b", "minDuration": "long"}, "invalid minDuration"),
        ("/api/search", {"q": "({ } | by(name)) > ({ })"}, "bracketed pipeline"),
        ("/api/v2/search/tags", {"scope": "nowhere"}, "invalid scope"),
        ("/api/v2/search/tag/service.name/values", {}, "not the name of a tag"),
        ("/api/v2/search/tag/span:thing/values", {}, "unknown identifier"),
        ("/api/traces/xyz", {}, "invalid character 'x' at position 1"),
        ("/api/traces/" + "1" * 33, {}, "larger than 128 bits"),
        ("/api/v2/traces/ab", {"start": "9", "end": "3"}, "start must be before end"),
        ("/api/v2/traces/ab", {"start": "soon"}, "invalid start"),
        ("/api/metrics/query_range", {"q": "{ }"}, "not a metrics query"),
        ("/api/metrics/query_range", {}, "invalid TraceQL query"),
        ("/api/metrics/query_range", {"q": "{ } | rate()", "step": "0"}, "invalid step"),
        ("/api/metrics/query_range", {"q": "{ } | rate()", "start": "100", "end": "50"}, "end must be greater"),
        ("/api/metrics/query_range", {"q": "{ } | rate()", "start": "100", "end": "100000"}, "exceeds 24h0m0s"),
        ("/api/metrics/query_range", {"q": "{ } | rate()", "start": "1", "end": "86000", "step": "1s"}, "step is too small"),
        ("/api/metrics/query_range", {"q": "{ } | rate()", "start": "now"}, "not a time"),
    ],
)  # fmt: skip
async def test_bad_requests_are_400_in_plain_text(ask, path, params, words):
    answer = await ask(path, **params)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert words in answer.text


async def test_searches_while_the_pipeline_runs_can_fail_too(ask, hold, make_span):
    hold(make_span("a"), make_span("b"))
    answer = await ask("/api/search", q="({ } | by(name)) > ({ } | by(name))")
    assert (answer.status_code, "coalesce()" in answer.text) == (400, True)


async def test_limit_and_spans_per_set(ask, hold, make_span):
    hold(*[make_span(trace=n, at=1_000.0 + n) for n in range(1, 31) for _ in range(5)])
    traces = (await ask("/api/search", q="{ }")).json()["traces"]
    assert [int(trace["traceID"], 16) for trace in traces] == list(range(30, 10, -1))  # 20, the newest first
    assert [(len(trace["spanSets"][0]["spans"]), trace["spanSets"][0]["matched"]) for trace in traces[:1]] == [(3, 5)]
    [one] = (await ask("/api/search", q="{ }", limit=1, spss=0)).json()["traces"]
    assert len(one["spanSets"][0]["spans"]) == 5


async def test_without_times_everything_is_searched(ask, hold, make_span):
    hold(make_span(at=5.0))
    assert len((await ask("/api/search")).json()["traces"]) == 1
    assert (await ask("/api/search", since="1h")).json()["traces"] == []


async def test_a_metrics_query_sent_to_search_is_a_search(ask, hold, make_span):
    hold(make_span("a"), make_span("b", trace=2))
    assert len((await ask("/api/search", q='{ name = "a" } | rate()')).json()["traces"]) == 1


async def test_zeros_are_left_out(ask, hold, make_span):
    hold(make_span("", lasts=0.0, count=0, parent="00000000000000ff"))
    [trace] = (await ask("/api/search", q='{ name = "" && span.count = 0 }')).json()["traces"]
    assert "durationMs" not in trace
    assert trace["rootServiceName"] == "<root span not yet received>"
    [span] = trace["spanSets"][0]["spans"]
    assert span == {
        "spanID": "0000000000000001",
        "startTimeUnixNano": "1000000000000",
        "attributes": [{"key": "count", "value": {"intValue": "0"}}],
    }


async def test_legacy_tags_are_substrings_without_case(ask, hold, make_span):
    hold(make_span("Login", user="Alice Liddell"), make_span("other", trace=2, user="bob", lasts=2.0))
    for given, expected in [
        ("user=ALICE", ["1"]),
        ('user="alice l"', ["1"]),
        ("service.name=sho", ["2", "1"]),
        ("name=log", ["1"]),
        ("user=alice service.name=nothing", []),
    ]:
        traces = (await ask("/api/search", tags=given)).json()["traces"]
        assert sorted(trace["traceID"] for trace in traces) == sorted(expected)
        assert all("spanSets" not in trace for trace in traces)
    long = (await ask("/api/search", tags="", minDuration="1s", maxDuration="3s")).json()["traces"]
    assert [trace["traceID"] for trace in long] == ["2"]


async def test_tag_names_by_scope(ask, hold, make_span):
    hold(make_span(resource={"k8s.pod": "p"}, **{"a b": 1}))
    scopes = {one["name"]: one["tags"] for one in (await ask("/api/v2/search/tags")).json()["scopes"]}
    assert scopes == {"intrinsic": tags.INTRINSICS, "resource": ["k8s.pod", "service.name"], "span": ["a b"]}
    assert (await ask("/api/v2/search/tags", scope="event")).json()["scopes"] == []
    assert (await ask("/api/v2/search/tags", scope="span")).json()["scopes"] == [{"name": "span", "tags": ["a b"]}]
    assert (await ask("/api/search/tags")).json()["tagNames"] == ["a b", "k8s.pod", "service.name"]


async def test_tag_names_and_values_of_the_spans_that_match(ask, hold, make_span):
    hold(make_span("login", user="alice"), make_span("login", trace=2, user="bob"), make_span("query", trace=3, table="t"))
    names = (await ask("/api/v2/search/tags", scope="span", q='{ name = "query" }')).json()
    assert names["scopes"] == [{"name": "span", "tags": ["table"]}]
    values = (await ask("/api/v2/search/tag/span.user/values", q='{ name = "login" && span.user != "bob" }')).json()
    assert values["tagValues"] == [{"type": "string", "value": "alice"}]
    everything = (await ask("/api/v2/search/tag/span.user/values", q="{ not a query")).json()
    assert len(everything["tagValues"]) == 2  # Tempo ignores a filter it cannot read


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("span.n", [("int", "5")]),
        ("span.f", [("float", "0.5")]),
        ("span.b", [("bool", "true"), ("bool", "false")]),
        (".list", [("string", "x"), ("string", "y")]),
        ('span."with space/slash"', [("string", "v")]),
        ("resource.service.name", [("string", "shop")]),
        ("status", [("keyword", "unset"), ("keyword", "ok"), ("keyword", "error")]),
        ("span:name", [("string", "login")]),
        ("rootName", [("string", "login")]),
        ("span.nothing", []),
        ("duration", []),
    ],
)
async def test_tag_values_are_typed_text(ask, hold, make_span, tag, values):
    hold(make_span("login", n=5, f=0.5, b=True, list=["x", "y"], **{"with space/slash": "v"}), make_span("login", b=False))
    found = (await ask(f"/api/v2/search/tag/{tag}/values")).json()["tagValues"]
    assert sorted((value["type"], value["value"]) for value in found) == sorted(values)


async def test_tag_values_in_a_range_and_up_to_a_limit(ask, hold, make_span):
    hold(*[make_span(trace=n, at=1_000.0 * n, user=f"u{n}") for n in range(1, 6)])
    found = (await ask("/api/v2/search/tag/span.user/values", start=1_900, end=3_100)).json()["tagValues"]
    assert [value["value"] for value in found] == ["u2", "u3"]
    assert len((await ask("/api/v2/search/tag/span.user/values", limit=2)).json()["tagValues"]) == 2
    assert (await ask("/api/search/tag/user/values")).json()["tagValues"] == ["u1", "u2", "u3", "u4", "u5"]


async def test_metrics_take_times_in_every_form(ask, hold, make_span):
    hold(make_span(at=1_050.0))
    for start, end in [
        ("1000", "1100"),
        ("1000000000000", "1100000000000"),
        ("1000.5", "1100.25"),
        ("1970-01-01T00:16:40Z", "1970-01-01T00:18:20Z"),
    ]:
        answer = await ask("/api/metrics/query", q="{ } | count_over_time()", start=start, end=end)
        assert answer.json()["series"] == [
            {"labels": [{"key": "__name__", "value": {"stringValue": "count_over_time"}}], "value": 1.0}
        ]


async def test_exemplars_are_limited(ask, hold, make_span):
    hold(*[make_span(trace=n, at=1_000.0 + n) for n in range(1, 20)])
    params = {"start": 1_000, "end": 1_030, "step": "1s"}
    [series] = (await ask("/api/metrics/query_range", q="{ } | rate()", exemplars=4, **params)).json()["series"]
    assert len(series["exemplars"]) == 4
    [series] = (await ask("/api/metrics/query_range", q="{ } | rate() with (exemplars=2)", **params)).json()["series"]
    assert len(series["exemplars"]) == 2


async def test_a_search_past_its_deadline_says_so(ask, hold, make_span, monkeypatch):
    hold(*[make_span(trace=n) for n in range(1, 5)])
    monkeypatch.setattr("app.embedded.tempo_api.DEADLINE_S", -1.0)
    answer = await ask("/api/search", q="{ }")
    assert answer.status_code == 504
    assert "shorter time range" in answer.text


def test_the_deadline_is_checked_for_every_trace():
    with pytest.raises(search.TooSlow):
        search.Deadline(-1).check()


async def test_the_metrics_page_is_whole_openmetrics(backend, ask, hold, make_span):
    now = now_ns() / SECOND
    hold(make_span("auth.login", at=now, **{"auth.result": "failure"}), make_span("auth.login", trace=2, at=now - 3_600))
    answer = await ask("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert "clew_embedded_late_spans_total 1\n" in answer.text
    assert answer.text.count("\notel_security_calls_total{") == 1
    assert "clew_embedded_store_bytes " in answer.text


class TestSwitches:
    """Behaviour of a real Tempo that can be switched on, for clients to be tried against."""

    @pytest.fixture
    async def with_switches(self, tmp_path):
        made = []

        def build(**switches):
            backend = Backend(tmp_path / "spans", switches=Switches(**switches))
            client = httpx.AsyncClient(transport=httpx.ASGITransport(backend.query), base_url="http://query")
            made.append((backend, client))
            return backend, client

        yield build
        for backend, client in made:
            await client.aclose()
            backend.close()

    async def test_traces_too_large(self, with_switches, make_span):
        backend, client = with_switches(max_trace_bytes=2_000)
        backend.store.append([make_span(text="x" * 100) for _ in range(100)]).result(timeout=10)
        first = await client.get("/api/traces/1")
        assert (first.status_code, first.text) == (422, "trace exceeds max size (max bytes: 2000)")
        second = (await client.get("/api/v2/traces/1")).json()
        assert second["status"] == "PARTIAL"
        assert "partial trace is returned" in second["message"]
        assert 0 < len(second["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"]) < 100
        from app.traces.otlp import decode

        body = await client.get("/api/v2/traces/1", headers={"accept": "application/protobuf"})
        assert decode(body.content, body.headers["content-type"]).partial

    async def test_a_tenant_can_be_asked_for(self, with_switches):
        _, client = with_switches(require_tenant=True)
        refused = await client.get("/api/search")
        assert (refused.status_code, refused.text) == (401, "no org id")
        assert (await client.get("/api/search", headers={"x-scope-orgid": "a"})).status_code == 200
        assert (await client.get("/ready")).status_code == 200

    async def test_the_most_recent_seconds_can_be_hidden(self, with_switches, make_span):
        backend, client = with_switches(hidden_s=30)
        now = now_ns() / SECOND
        backend.store.append([make_span(trace=1, at=now - 5), make_span(trace=2, at=now - 60)]).result(timeout=10)
        found = (await client.get("/api/search", params={"start": int(now) - 600, "end": int(now) + 1})).json()["traces"]
        assert [trace["traceID"] for trace in found] == ["2"]
