"""The reader of PromQL: selectors, thresholds, ranges, and what it does not claim to know."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.investigation import promql
from app.investigation.promql import Matcher, Threshold
from app.times import HOUR, MINUTE


def matchers(selector):
    return [str(matcher) for matcher in selector.matchers]


@pytest.mark.parametrize(
    ("expression", "subject", "threshold"),
    [
        ("m > 20", "m", Threshold(">", 20)),
        ("m / 300 > 0.5 and other > 0.5", "m / 300", Threshold(">", 0.5)),
        ("(\n  sum(a) / sum(b)\n) > 0.4\nand on (x) sum by (x) (c) > 100", "sum(a) / sum(b)", Threshold(">", 0.4)),
        ("(sum(rate(a[10m])) > 1) unless (sum(rate(b[10m])) > 0)", "sum(rate(a[10m]))", Threshold(">", 1)),
        ("0.8 < m", "m", Threshold(">", 0.8)),
        ("m > 5 * 60", "m", Threshold(">", 300)),
        ("m > -1 + 2 * 3", "m", Threshold(">", 5)),
        ("m >= 0x10", "m", Threshold(">=", 16)),
        ("up{job=~\"a|b\"} == 0", 'up{job=~"a|b"}', Threshold("==", 0)),
        ("m > 2 * baseline", "m", None),
        ("m > bool 0", "m > bool 0", None),
        ("absent(a) or absent(b)", "absent(a) or absent(b)", None),
        ("m", "m", None),
        ("m # a > 5\n> 3", "m", Threshold(">", 3)),
        ("m > 1 < 5", "m > 1 < 5", None),
        ("m > 1 / 0", "m", None),
    ],
)  # fmt: skip
def test_what_is_measured_and_what_it_is_compared_with(expression, subject, threshold):
    reading = promql.read(expression)
    assert (reading.subject, reading.threshold, reading.problem) == (subject, threshold, "")


def test_selectors_carry_matchers_range_and_offset():
    reading = promql.read(r"""increase(calls_total{a="x", b!='y',c=~`z|\w`, d!~"q\"\\"}[1h30m] offset 5m)""")
    (selector,) = reading.selectors
    assert selector.metric == "calls_total"
    assert selector.matchers == (
        Matcher("a", "=", "x"),
        Matcher("b", "!=", "y"),
        Matcher("c", "=~", r"z|\w"),
        Matcher("d", "!~", 'q"\\'),
    )
    assert selector.reach_ns == 95 * MINUTE


@pytest.mark.parametrize(
    ("expression", "metric"),
    [('{"http.calls", "http.route"="/a"}', "http.calls"), ('{__name__="m", a="b"}', "m"), ('sum({__name__=~"m.*"})', "")],
)
def test_metrics_named_inside_the_braces(expression, metric):
    assert promql.read(expression).selectors[0].metric == metric


@pytest.mark.parametrize(
    ("text", "value"),
    [(r'"a\tb"', "a\tb"), (r'"\x41\u00e9\U0001F600"', "Aé😀"), (r'"\xc3\xa9"', "é"), (r'"\101"', "A"), (r"'it\'s'", "it's")],
)
def test_escapes_are_those_of_go(text, value):
    assert promql.read("m{a=" + text + "}").selectors[0].matchers[0].value == value


def test_conditions_beside_the_measure_are_told_apart():
    reading = promql.read(
        'sum by (s) (((calls unless calls offset 5m) and on (job) (up{job="j"} offset 5m == 1)) or increase(calls[5m])) > 3'
        " and c > 1"
    )
    assert {selector.metric for selector in reading.selectors} == {"calls"}
    assert {selector.metric for selector in reading.others} == {"up", "c", "calls"}


@pytest.mark.parametrize("expression", ["sum(a", "a)", "m{a}", 'm{a="b}', "m offset", "", "m[5q]", "€", 'm{a="\\q"}'])
def test_what_cannot_be_read_is_said(expression):
    reading = promql.read(expression)
    assert reading.problem.startswith("The rule's expression could not be read: ")
    assert reading.problem.endswith(".")
    assert reading.selectors == ()


def test_deep_nesting_and_length_are_bounded():
    assert promql.read("(" * 20_000 + "m" + ")" * 20_000).subject == "m"
    assert "too deeply" in promql.read("(" * 500 + "m" + " and n)" * 500).problem
    assert "64 KiB" in promql.read("m" * 70_000).problem


@example("()")
@example("() > 1")
@given(st.text(alphabet="ab(){}[]<>=!~\"'`\\, 150m/+-*#\nornduile", max_size=120))
def test_any_text_is_read_or_refused(text):
    reading = promql.read(text)
    assert reading.problem or reading.subject
    promql.narrow(text, {"a": "b"})


RECORDED = {
    "login:failures": 'sum by (service_name) (events{span_name="auth.login",auth_result="failure"})',
    "events": "increase(calls_total[5m]) or calls_total offset 2m",
    "loop:a": "loop:b[1m]",
    "loop:b": "loop:a[1m]",
}


def test_recording_rules_are_followed_to_raw_series():
    selectors = promql.read('login:failures{service_name="identity"} > 3').selectors
    found = promql.underlying(selectors, RECORDED.get)
    assert {selector.metric for selector in found} == {"calls_total"}
    assert set(matchers(found[0])) == {'span_name="auth.login"', 'auth_result="failure"', 'service_name="identity"'}
    assert promql.reach_ns(selectors, RECORDED.get) == 5 * MINUTE


def test_rules_that_name_each_other_do_not_run_forever():
    selectors = promql.read("loop:a").selectors
    assert promql.underlying(selectors, RECORDED.get)
    assert 0 < promql.reach_ns(selectors, RECORDED.get) < HOUR


@pytest.mark.parametrize(
    ("expression", "narrowed"),
    [
        ("m / 300", 'm{s="x"} / 300'),
        ('m{a="b"}', 'm{a="b", s="x"}'),
        ('m{a="b",}', 'm{a="b", s="x",}'),
        ("m{}", 'm{s="x"}'),
        ("rate(m[5m] offset 1h)", 'rate(m{s="x"}[5m] offset 1h)'),
        ("sum by (s) (rate(m[5m])) / sum by (s) (n)", 'sum by (s) (rate(m{s="x"}[5m])) / sum by (s) (n{s="x"})'),
        ("sum(rate(m[5m])) by (s, t)", 'sum(rate(m{s="x"}[5m])) by (s, t)'),
        ("sum without (t) (m)", 'sum without (t) (m{s="x"})'),
        ("topk(5, m)", 'topk(5, m{s="x"})'),
    ],
)
def test_narrowing_adds_the_matcher_to_every_selector(expression, narrowed):
    assert promql.narrow(expression, {"s": "x"}) == narrowed


@pytest.mark.parametrize(
    "expression",
    [
        "sum(m)",  # the label is gone: the alert's cannot come from here
        "sum by (t) (m)",
        "sum without (s) (m)",
        "m / on (t) group_left (s) n",
        'label_replace(m, "s", "$1", "t", "(.*)")',
        "m * scalar(sum(n))",
        "sum(m) / sum by (s) (n)",
        "absent(m)",
        "m{",
        "{0}",
    ],
)
def test_narrowing_is_refused_where_it_could_change_the_values(expression):
    assert promql.narrow(expression, {"s": "x"}) is None


@given(st.text(max_size=60))
def test_a_narrowed_expression_reads_back_to_exactly_the_added_matcher(value):
    narrowed = promql.narrow('m{a="b"}', {"s": value})
    if not value:
        assert narrowed is None
    elif not any(0xD800 <= ord(char) < 0xE000 for char in value):
        (selector,) = promql.read(narrowed).selectors
        assert selector.matchers == (Matcher("a", "=", "b"), Matcher("s", "=", value))
