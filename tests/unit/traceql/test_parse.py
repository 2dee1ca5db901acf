"""Text to tree: what is TraceQL, what is not, and what Clew does not answer."""

import pytest

from app.errors import InvalidInput
from app.traceql import nodes
from app.traceql.nodes import (
    Attribute,
    Binary,
    Intrinsic,
    Junction,
    Literal,
    Logical,
    Op,
    Pipeline,
    Query,
    Related,
    Relation,
    Scope,
    SpanFilter,
)
from app.traceql.parse import parse
from app.traceql.values import Duration
from app.traces.model import SpanKind, Status


def expression(text):
    [stage] = parse(f"{{ {text} }}").pipeline.stages
    return stage.expression


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("span.http.method", Attribute("http.method", Scope.SPAN)),
        ("resource.k8s.pod/name", Attribute("k8s.pod/name", Scope.RESOURCE)),
        (".a", Attribute("a")),
        ('."quoted name"', Attribute("quoted name")),
        (r'span.part."with \" and \\".rest', Attribute(r'part.with " and \.rest', Scope.SPAN)),
        ("event.exception.type", Attribute("exception.type", Scope.EVENT)),
        ("link.why", Attribute("why", Scope.LINK)),
        ("instrumentation.x", Attribute("x", Scope.INSTRUMENTATION)),
        ("span.a+b", Attribute("a+b", Scope.SPAN)),  # names swallow operators
        ("span.nil", Attribute("nil", Scope.SPAN)),
        ("span:name", Intrinsic.NAME),
        ("trace:rootService", Intrinsic.ROOT_SERVICE),
        ("rootServiceName", Intrinsic.ROOT_SERVICE),
        ("event:timeSinceStart", Intrinsic.EVENT_SINCE_START),
        ("nestedSetParent", Intrinsic.NESTED_PARENT),
    ],
)
def test_fields(text, field):
    assert parse(f"{{ }} | select({text} )").pipeline.stages[1] == nodes.Select((field,))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"plain"', "plain"),
        (r'"a\"b\\c\n\t"', 'a"b\\c\n\t'),
        (r'"\u00e9\U0001F642\x41\101"', "é🙂AA"),
        (r"`raw \ text`", r"raw \ text"),
        ('"<script>"', "<script>"),
        ("500", 500),
        ("-7", -7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("nil", None),
        ("1h30m", Duration(5_400_000_000_000)),
        ("1.5s", Duration(1_500_000_000)),
        ("100us", Duration(100_000)),
        ("2d", Duration(172_800_000_000_000)),
        ("-5ms", Duration(-5_000_000)),
        ("error", Status.ERROR),
        ("consumer", SpanKind.CONSUMER),
        ("minInt", -(2**63)),
    ],
)
def test_literals(text, value):
    found = expression(f".a = {text}").right
    assert found == Literal(value)
    assert type(found.value) is type(value)


def test_literals_of_different_types_differ():
    assert len({Literal(1), Literal(1.0), Literal(True), Literal(Duration(1)), Literal("1"), Literal(SpanKind.INTERNAL)}) == 6


def test_and_binds_no_tighter_than_or():
    a, b, c = (Binary(Op.EQ, Attribute(name), Literal(1)) for name in "abc")
    assert expression(".a = 1 || .b = 1 && .c = 1") == Logical((a, b, c), (Junction.OR, Junction.AND))
    assert expression(".a = 1 || (.b = 1 && .c = 1)") == Logical((a, Logical((b, c), (Junction.AND,))), (Junction.OR,))


def test_arithmetic_binds_tighter_than_comparison():
    found = expression(".a + 2 * 3 > -.b")
    assert found.op is Op.GT
    assert found.left == Binary(Op.ADD, Attribute("a"), Binary(Op.MUL, Literal(2), Literal(3)))
    assert found.right == nodes.Negative(Attribute("b"))


def test_powers_bind_to_the_right():
    assert expression(".a ^ 2 ^ 3 = 1").left == Binary(Op.POW, Attribute("a"), Binary(Op.POW, Literal(2), Literal(3)))


@pytest.mark.parametrize("relation", list(Relation))
def test_every_relation(relation):
    [stage] = parse(f"{{ .a }} {relation} {{ .b }}").pipeline.stages
    assert stage == Related(relation, SpanFilter(Attribute("a")), SpanFilter(Attribute("b")))


def test_relations_bind_tighter_than_and():
    [stage] = parse("{ .a } && { .b } >> { .c }").pipeline.stages
    assert stage.junctions == (Junction.AND,)
    assert isinstance(stage.operands[1], Related)


def test_a_bracketed_pipeline_is_an_operand():
    [stage] = parse("({ .a } | count() > 1) && ({ .b } | count() > 2)").pipeline.stages
    assert all(isinstance(operand, Pipeline) and len(operand.stages) == 2 for operand in stage.operands)


def test_metrics_second_stage_and_hints():
    query = parse("{ } | rate() by (span.a, name) | topk(3) > 0.5 with (exemplars=5, most_recent=true)")
    assert query == Query(
        Pipeline((SpanFilter(),)),
        nodes.OverTime(nodes.Measure.RATE, by=(Attribute("a", Scope.SPAN), Intrinsic.NAME)),
        (nodes.TopK(3), nodes.SeriesFilter(Op.GT, Literal(0.5))),
        (("exemplars", Literal(5)), ("most_recent", Literal(True))),
    )
    assert query.hint("exemplars") == 5
    assert query.hint("nothing") is None


def test_comments_and_line_breaks_are_space():
    assert parse("{ // who\n .a = /* what */ 1 }") == parse("{ .a = 1 }")


GOOD = """
{ }
{ true }
{ !true && false || true }
{ .a }
{ !.a }
{ -.a = 2 }
{ 1 = 2 }
{ "test" =~ "t.st" }
{ !("test" != .c || ((true && .b) || 3 < .a)) }
{ 1 * 1h = 1 }
{ duration > 1s * 2 }
{ .http.status >= "200" }
{ statusMessage =~ ".*" }
{ span:id = "61626364656667" }
{ span:parentID = "61626364656667" }
{ event:name = "exception" && event.x = 1 }
{ link:traceID = "f1" }
{ instrumentation:version = "v3" }
{ .foo != nil }
{ .foo = nil }
{ nestedSetLeft > 3 }
{ true } | { .a }
{ true } | count() = 1
{ true } | max(1 + .a) = 1
{ true } | max((1 + .a) * 2) = -1
(count()) > 4
{ true } | by(1 + .a) | coalesce()
by(.a) | { true }
max(duration) > 3s | { status = error || .http.status = 500 }
select(.a) | { .b }
{ .a } | min_over_time(duration) by (span.http.path)
{ } | quantile_over_time(duration, 0, 0.9, 1)
{ } | avg_over_time(span.x)
{ } | compare({ status = error }, 5)
{ } | compare({ status = error }, 5, 100, 200)
{ } | rate() > 5 | topk(3)
{ } | rate() | bottomk(1)
"""


@pytest.mark.parametrize("text", GOOD.strip().splitlines())
def test_good(text):
    assert parse(text)


# What is wrong is in the message, so that a person can mend the query.
BAD = """
                                        | end of the query
true                                    | 'true'
( true )                                | 'true'
{ . }                                   | needs a name
{ < }                                   | '<'
{ .a <                                  | end of the query
{ .a < 3                                | end of the query
{ attribute = 4 }                       | 'attribute'
{ .attribute == 4 }                     | '='
{ span. }                               | needs a name
{ span."unfinished = 1 }                | has no end
{ .a = 'x' }                            | "'"
{ .a = "x }                             | has no end
{ .a = "\\q" }                          | unknown escape
{ .a = "\\xff" }                        | not UTF-8
{ .a = 99999999999999999999 }           | 64 bits
{ true } + { true }                     | '+'
{ true } = { true }                     | '='
max(name) = 1                           | needs a number
avg("foo") > 1                          | needs a number
sum(3) > 2                              | something of the span
max(duration) > ok                      | 'ok'
{ true } | count()                      | end of the query
{ true } | max() = 1                    | needs an attribute
{ true } | count(.a) = 1                | takes nothing
{ true } | by()                         | ')'
{ true } | by(1)                        | something of the span
{ true } | select()                     | ')'
coalesce() | { true }                   | 'coalesce()'
({ .a } | count() > 1) && { .b }        | bracketed pipeline
{ trace:status = error }                | unknown identifier: trace:status
{ span:rootName = "a" }                 | unknown identifier: span:rootName
{ status }                              | true or false
{ 1 + 1 }                               | true or false
{ "foo" }                               | true or false
{ status = "error" }                    | different types
{ duration = "ten" }                    | different types
{ rootName != 3.2 }                     | different types
{ 1 - true = 1 }                        | different types
{ status > ok }                         | > does not apply
{ 1 =~ 2 }                              | =~ does not apply
{ true || 1.1 }                         | true or false
{ !1 = 1 }                              | ! needs
{ -true }                               | - needs
{ -name = "foo" }                       | - needs
{ span.foo =~ "[" }                     | invalid regular expression
{ name = nil }                          | never be nil
{ resource.service.name = nil }         | never be nil
{ } | rate(                             | end of the query
{ } | quantile_over_time(duration)      | ')'
{ } | quantile_over_time(duration, 2)   | between 0 and 1
{ } | avg_over_time(name)               | needs a number
{ } | rate() by (.a,.b,.c,.d,.e,.f)     | at most 5
{ } | rate() | topk(0)                  | greater than 0
{ } | rate() | { }                      | '{'
{ } with(a=1) with(b=2)                 | 'with(b=2)'
"""


@pytest.mark.parametrize("line", BAD.strip("\n").splitlines())
def test_bad(line):
    text, words = (part.strip() for part in line.rsplit(" | ", 1))
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{ parent.a = 1 }", "{ parent = nil }", "{ childCount > 2 }", "({ } | rate()) / ({ } | rate())"]
)
def test_unsupported_is_an_error_and_never_an_answer(text):
    with pytest.raises(InvalidInput):
        parse(text)


def test_an_error_names_its_place():
    with pytest.raises(InvalidInput, match="line 2, column 7: unexpected '='"):
        parse("{ .a = 1 &&\n  .b == 2 }")


@pytest.mark.parametrize(
    "text",
    [
        "{ " + "(" * 20_000 + "true" + ")" * 20_000 + " }",
        "{ " + " && ".join(f".a{n} = {n}" for n in range(5_000)) + " }",
        " || ".join(["{ .a }"] * 10_000),
        "{ }" + " | { }" * 15_000,
    ],
    ids=["brackets", "conjunction", "spansets", "stages"],
)
def test_long_queries_parse(text):
    assert parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "{ " + "!" * 50_000 + "true }",
        "{ 1" + " + 1" * 20_000 + " = 2 }",
        "{ 2" + " ^ 2" * 20_000 + " = 2 }",
        "{ }" + " >> { }" * 15_000,
        "{ " + "(.a = 1 && " * 5_000 + "true" + ")" * 5_000 + " }",
    ],
    ids=["not", "sum", "power", "relations", "brackets"],
)
def test_deep_queries_are_refused(text):
    with pytest.raises(InvalidInput, match="nested more than"):
        parse(text)


def test_the_length_is_capped():
    with pytest.raises(InvalidInput, match="longer than"):
        parse("{ .a = `" + "é" * 70_000 + "` }")
