"""TraceQL text to a query tree: `parse(write(query)) == query`.

The grammar is LALR, so neither the parser nor the checks recurse on the length of the input; how deeply brackets may nest is
capped, because the tree is walked recursively afterwards.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedToken

from app.traceql import nodes
from app.traceql.check import check
from app.traceql.lexer import TraceQLError, TraceQLLexer, error_at, spelling
from app.traceql.nodes import Junction, Op, Query, Relation
from app.traceql.values import NUMERIC, type_of

MAX_BYTES = 128 * 1024  # Tempo's own limit

# Precedence as in Tempo: && and || equal; comparisons; + -; ! and unary -; * / %; ^ to the right.
_GRAMMAR = r"""
start: pipeline hints?                                -> search
     | pipeline _PIPE metrics second* hints?           -> measured

pipeline: first                                       -> begin
        | pipeline _PIPE stage                         -> append
?first: spansets | scalar_filter | group | select
?stage: spansets | scalar_filter | group | coalesce | select

?spansets: related
         | spansets AND related                       -> spanset_logical
         | spansets OR related                        -> spanset_logical
?related: spanset
        | related relation spanset                    -> related
relation: GT | LT | DESCENDANT | ANCESTOR | TILDE | NOT_CHILD | NOT_PARENT | NOT_DESCENDANT | NOT_ANCESTOR | NRE
        | UNION_CHILD | UNION_PARENT | UNION_DESCENDANT | UNION_ANCESTOR | UNION_SIBLING
?spanset: _LBRACE _RBRACE                               -> every_span
        | _LBRACE expression _RBRACE                    -> span_filter
        | _LPAR spansets _RPAR                          -> bracketed
        | _LPAR wrapped _RPAR                           -> bracketed
wrapped: pipeline _PIPE stage                          -> append
       | scalar_filter                                -> begin
       | group                                        -> begin
       | select                                       -> begin

group: _BY _LPAR expression _RPAR
coalesce: _COALESCE _LPAR _RPAR
select: _SELECT _LPAR fields _RPAR
fields: FIELD                                         -> begin
      | fields _COMMA FIELD                            -> append
scalar_filter: aggregate comparison number
aggregate: REDUCER _LPAR _RPAR
         | REDUCER _LPAR expression _RPAR
         | _LPAR aggregate _RPAR                        -> bracketed

?expression: compared
           | expression AND compared                  -> logical
           | expression OR compared                   -> logical
?compared: sum
         | compared comparison sum                    -> binary
?sum: product
    | sum PLUS product                                -> arithmetic
    | sum MINUS product                               -> arithmetic
?product: unary
        | product STAR unary                          -> arithmetic
        | product SLASH unary                         -> arithmetic
        | product PERCENT unary                       -> arithmetic
?unary: power
      | NOT unary                                     -> negated
      | MINUS unary                                   -> negative
?power: atom
      | atom CARET unary                              -> arithmetic
?atom: FIELD                                          -> field
     | literal
     | _LPAR expression _RPAR                           -> bracketed
comparison: EQ | NE | LT | LE | GT | GE | RE | NRE
literal: STRING | INTEGER | FLOAT | DURATION | CONSTANT
number: INTEGER | FLOAT | DURATION
      | MINUS INTEGER | MINUS FLOAT | MINUS DURATION

metrics: RATE _LPAR _RPAR by?                           -> counting
       | OF_FIELD _LPAR FIELD _RPAR by?                 -> measuring
       | QUANTILE _LPAR FIELD quantiles _RPAR by?       -> quantile
       | _COMPARE _LPAR spanset compare_arguments _RPAR  -> compare
quantiles: _COMMA number                               -> begin
         | quantiles _COMMA number                    -> append
compare_arguments: (_COMMA INTEGER)*
by: _BY _LPAR fields _RPAR
second: _PIPE _TOPK _LPAR INTEGER _RPAR                   -> topk
      | _PIPE _BOTTOMK _LPAR INTEGER _RPAR                -> bottomk
      | comparison number                             -> series_filter
hints: _WITH _LPAR hint_list _RPAR
hint_list: hint                                       -> begin
         | hint_list _COMMA hint                       -> append
hint: WORD EQ literal
    | WORD EQ MINUS literal

%declare _PIPE AND OR GT LT GE LE EQ NE RE NRE TILDE NOT DESCENDANT ANCESTOR NOT_CHILD NOT_PARENT NOT_DESCENDANT
%declare NOT_ANCESTOR UNION_CHILD UNION_PARENT UNION_DESCENDANT UNION_ANCESTOR UNION_SIBLING _LBRACE _RBRACE _LPAR _RPAR _COMMA
%declare PLUS MINUS STAR SLASH PERCENT CARET FIELD STRING INTEGER FLOAT DURATION CONSTANT WORD
%declare REDUCER RATE OF_FIELD QUANTILE _BY _COALESCE _SELECT _WITH _TOPK _BOTTOMK _COMPARE
"""


def parse(text: str) -> Query:
    """The query tree of a text, its types checked.

    Errors: TraceQLError, an InvalidInput that names the place.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise TraceQLError(f"the query is longer than {MAX_BYTES} bytes")
    try:
        query: Query = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedToken as error:
        raise _explained(text, error) from None
    check(query)
    return query


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer=TraceQLLexer, transformer=_Builder())


def _explained(text: str, error: UnexpectedToken) -> TraceQLError:
    token = error.token
    expected = sorted({spelling(name) for name in error.expected})
    hope = f"; expected {' or '.join(expected)}" if len(expected) <= 4 else ""
    if token.type == "$END":
        return error_at(text, len(text), f"unexpected end of the query{hope}")
    position = token.start_pos or 0
    shown = text[position : position + 20].split()[0] if text[position:].split() else ""
    return error_at(text, position, f"unexpected {shown!r}{hope}")


class _Run:
    """A run of && and || while it is being read. Growing a list keeps a long run linear."""

    def __init__(self, kind: type[nodes.Logical] | type[nodes.SpansetLogical], first: Any) -> None:
        self.kind = kind
        self.operands = [first]
        self.junctions: list[Junction] = []

    def closed(self) -> Any:
        return self.kind(tuple(self.operands), tuple(self.junctions))


def _closed(value: Any) -> Any:
    return value.closed() if isinstance(value, _Run) else value


def _negative(value: Any) -> Any:
    """`-` before a number is the number; before anything else it is an operation."""
    if isinstance(value, nodes.Literal) and type_of(value.value) in NUMERIC:
        number: Any = value.value
        if number == -(2**63):
            return value  # it has no opposite in 64 bits, and wraps round to itself
        return nodes.Literal(type(number)(-number))
    return nodes.Negative(value)


class _Builder(Transformer[Token, Any]):
    """One method per rule or alias; children come finished. Lists grow in place and are closed by their owner."""

    def begin(self, children: list[Any]) -> list[Any]:
        return [_closed(children[0])]

    def append(self, children: list[Any]) -> list[Any]:
        children[0].append(_closed(children[1]))
        return children[0]  # type: ignore[no-any-return]

    def bracketed(self, children: list[Any]) -> Any:
        inner = children[0]
        return nodes.Pipeline(tuple(inner)) if isinstance(inner, list) else _closed(inner)

    # The whole

    def search(self, children: list[Any]) -> Query:
        return Query(nodes.Pipeline(tuple(children[0])), hints=children[1] if len(children) > 1 else ())

    def measured(self, children: list[Any]) -> Query:
        pipeline, metrics, *rest = children
        hints = rest.pop() if rest and isinstance(rest[-1], tuple) else ()
        return Query(nodes.Pipeline(tuple(pipeline)), metrics, tuple(rest), hints)

    def hints(self, children: list[Any]) -> tuple[tuple[str, nodes.Literal], ...]:
        return tuple(children[0])

    def hint(self, children: list[Any]) -> tuple[str, nodes.Literal]:
        value = children[-1]
        return str(children[0]), _negative(value) if len(children) == 4 else value

    # Sets of spans

    def every_span(self, children: list[Any]) -> nodes.SpanFilter:
        return nodes.SpanFilter()

    def span_filter(self, children: list[Any]) -> nodes.SpanFilter:
        return nodes.SpanFilter(_closed(children[0]))

    def relation(self, children: list[Token]) -> Relation:
        return _RELATIONS[children[0].type]

    def related(self, children: list[Any]) -> nodes.Related:
        left, relation, right = children
        return nodes.Related(relation, left, right)

    def spanset_logical(self, children: list[Any]) -> _Run:
        return _extended(nodes.SpansetLogical, *children)

    # Stages

    def group(self, children: list[Any]) -> nodes.GroupBy:
        return nodes.GroupBy(_closed(children[0]))

    def coalesce(self, children: list[Any]) -> nodes.Coalesce:
        return nodes.Coalesce()

    def select(self, children: list[Any]) -> nodes.Select:
        return nodes.Select(tuple(_value(field) for field in children[0]))

    def aggregate(self, children: list[Any]) -> nodes.Aggregate:
        reducer, *of = children
        return nodes.Aggregate(nodes.Reducer(reducer), _closed(of[0]) if of else None)

    def scalar_filter(self, children: list[Any]) -> nodes.ScalarFilter:
        return nodes.ScalarFilter(*children)

    # Expressions

    def field(self, children: list[Token]) -> nodes.Field:
        return _value(children[0])  # type: ignore[no-any-return]

    def literal(self, children: list[Token]) -> nodes.Literal:
        return nodes.Literal(_value(children[0]))

    def number(self, children: list[Token]) -> nodes.Literal:
        value = nodes.Literal(_value(children[-1]))
        return _negative(value) if len(children) == 2 else value

    def comparison(self, children: list[Token]) -> Op:
        return Op(children[0])

    def binary(self, children: list[Any]) -> nodes.Binary:
        left, op, right = children
        return nodes.Binary(op, left, right)

    def arithmetic(self, children: list[Any]) -> nodes.Binary:
        left, op, right = children
        return nodes.Binary(Op(op), left, right)

    def negated(self, children: list[Any]) -> nodes.Not:
        return nodes.Not(children[1])

    def negative(self, children: list[Any]) -> Any:
        return _negative(children[1])

    def logical(self, children: list[Any]) -> _Run:
        return _extended(nodes.Logical, *children)

    # Metrics

    def counting(self, children: list[Any]) -> nodes.OverTime:
        name, *by = children
        return nodes.OverTime(nodes.Measure(name), by=by[0] if by else ())

    def measuring(self, children: list[Any]) -> nodes.OverTime:
        name, of, *by = children
        return nodes.OverTime(nodes.Measure(name), _value(of), by=by[0] if by else ())

    def quantile(self, children: list[Any]) -> nodes.OverTime:
        name, of, quantiles, *by = children
        return nodes.OverTime(nodes.Measure(name), _value(of), tuple(float(q.value) for q in quantiles), by=by[0] if by else ())

    def by(self, children: list[Any]) -> tuple[nodes.Field, ...]:
        return tuple(_value(field) for field in children[0])

    def compare_arguments(self, children: list[Token]) -> list[int]:
        return [_value(token) for token in children]

    def compare(self, children: list[Any]) -> nodes.Compare:
        return nodes.Compare(children[0], *children[1])

    def topk(self, children: list[Token]) -> nodes.TopK:
        return nodes.TopK(_value(children[0]))

    def bottomk(self, children: list[Token]) -> nodes.BottomK:
        return nodes.BottomK(_value(children[0]))

    def series_filter(self, children: list[Any]) -> nodes.SeriesFilter:
        return nodes.SeriesFilter(*children)


def _value(token: Any) -> Any:
    """The finished value that the lexer put into a token."""
    return token.value if isinstance(token, Token) else token


def _extended(kind: type[nodes.Logical] | type[nodes.SpansetLogical], left: Any, junction: Token, right: Any) -> _Run:
    run = left if isinstance(left, _Run) else _Run(kind, left)
    run.junctions.append(Junction(junction))
    run.operands.append(right)
    return run


_RELATIONS = {
    "GT": Relation.CHILD,
    "LT": Relation.PARENT,
    "TILDE": Relation.SIBLING,
    "NRE": Relation.NOT_SIBLING,
    **{relation.name: relation for relation in Relation},
}
