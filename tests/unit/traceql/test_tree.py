"""Nested sets: every span inside its ancestors, strays related to nothing."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.traceql.tree import NestedSets
from app.traces.model import Resource, Scope, Span, SpanKind

RESOURCE, LIBRARY = Resource("shop", {}), Scope("", "", {})


def span(number, parent=None, kind=SpanKind.INTERNAL):
    return Span(
        "ab" * 16, f"{number:016x}", f"{parent:016x}" if parent else "", "", kind, 0, 0, {}, RESOURCE, LIBRARY
    )  # fmt: skip


def test_numbers_of_a_small_tree():
    sets = NestedSets([span(3, 2), span(1), span(2, 1), span(4, 1)])
    assert list(zip(sets.left, sets.right, sets.parent, strict=True)) == [(3, 4, 2), (1, 8, -1), (2, 5, 1), (6, 7, 1)]


def test_orphans_rings_and_self_parents_have_no_place():
    sets = NestedSets([span(1, 9), span(2, 3), span(3, 2), span(4, 4), span(5)])
    assert sets.left == [0, 0, 0, 0, 1]
    assert sets.parent == [0, 0, 0, 0, -1]


def test_children_of_a_shared_id_hang_below_the_server():
    client, server, child = span(2, 1, SpanKind.CLIENT), span(2, 1, SpanKind.SERVER), span(3, 2)
    sets = NestedSets([span(1), client, server, child])
    assert sets.parent[3] == sets.left[2]


def test_a_very_deep_trace():
    depth = 50_000
    sets = NestedSets([span(n, n - 1) for n in range(1, depth + 1)])
    assert (sets.left[0], sets.right[0]) == (1, 2 * depth)
    assert sets.right[-1] == depth + 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 12), max_size=12))
def test_pairs_nest_as_the_parents_say(parents):
    spans = [span(n, parent) for n, parent in enumerate(parents, 1)]
    sets = NestedSets(spans)

    def ancestors(place):
        out = []
        while parents[place] and parents[place] <= len(parents) and parents[place] - 1 not in out:
            place = parents[place] - 1
            out.append(place)
        return out, place

    for place in range(len(spans)):
        above, top = ancestors(place)
        reached = parents[top] == 0
        assert (sets.left[place] > 0) is reached
        for other in range(len(spans)):
            inside = sets.left[other] and sets.left[other] < sets.left[place] and sets.right[place] < sets.right[other]
            assert bool(inside) is (reached and other in above)
