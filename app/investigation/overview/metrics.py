"""The panels' questions to Prometheus, as PromQL. Pure: no value of anybody's goes into them.

They ask the span metrics of auth checks, which count every check, before traces are sampled.
"""

from __future__ import annotations

from app.traceql.write import duration

CALLS = "otel_security_calls_total"
SPRAYS = "otel_security_spray_calls_total"
BUCKETS = "otel_security_duration_seconds_bucket"
# Whether there are any such metrics at all, where a panel finds nothing.
PRESENT = f"count({CALLS})"
MOST_SOURCES = 10
MOST_SERVICES = 15

_REFUSED = '{auth_result="failure"}'


def rise(metric: str, matchers: str, over_ns: int) -> str:
    """By how much counters rose, a counter's first value included.

    increase() sees nothing of a counter that first shows up at 400, as one attack from a new subnet does. A counter was born
    in the window where it was not there before it and has fewer samples than there were scrapes; then it rose by its highest
    value, also where its process has ended since, unless it was set back and rose further, which increase() knows better.
    """
    over, counter = duration(over_ns), f"{metric}{matchers}"
    born = (
        f"(max_over_time({counter}[{over}]) unless {counter} offset {over}\n"
        f"  and count_over_time({counter}[{over}]) < on (job, instance) group_left () sum_over_time(up[{over}]))"
    )
    return f"{born}\n  > increase({counter}[{over}])\nor increase({counter}[{over}])\nor {born}"


def sources(over_ns: int) -> str:
    """Checks by result of the subnets that were refused most."""
    return (
        f"sum by (auth_client_subnet, auth_result) (\n{rise(CALLS, '', over_ns)}\n)\n"
        f"and on (auth_client_subnet)\n"
        f"topk({MOST_SOURCES}, sum by (auth_client_subnet) (\n{rise(CALLS, _REFUSED, over_ns)}\n) > 0)"
    )


def results(step_ns: int) -> str:
    """Checks by step and result, for each point of a curve."""
    return f"sum by (span_name, auth_result) (\n{rise(CALLS, '', step_ns)}\n)"


def names(over_ns: int) -> str:
    """How many of the 256 slices of all log-in names failed from each subnet."""
    return (
        f"topk({MOST_SOURCES}, count by (auth_client_subnet) (\n"
        f"  group by (auth_client_subnet, auth_user_bucket) ((\n{rise(SPRAYS, '', over_ns)}\n) > 0)\n))"
    )


def refusals(over_ns: int) -> str:
    """Refusals by service and step."""
    return f"topk({MOST_SERVICES}, sum by (service_name, span_name) (\n{rise(CALLS, _REFUSED, over_ns)}\n) > 0)"


def durations(over_ns: int, earlier_ns: int = 0) -> str:
    """How long checks took, as a histogram for each step; earlier_ns: the same stretch of time so much before."""
    offset = f" offset {duration(earlier_ns)}" if earlier_ns else ""
    return f'sum by (le, span_name) (increase({BUCKETS}{{span_name=~"auth[.].+"}}[{duration(over_ns)}]{offset}))'
