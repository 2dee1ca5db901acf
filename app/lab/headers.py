"""The HTTP headers the lab's parts agree on."""

from __future__ import annotations

# W3C Trace Context, level 2 draft: tells the caller which trace its request became.
RESPONSE_HEADER = "traceresponse"
# Set by orders where billing answered in another trace than the one it was asked in.
DETACHED_HEADER = "x-detached-trace"
CONTROL_HEADER = "x-lab-control"


def trace_id_in(header: str | None) -> str:
    """The trace id of a `traceresponse` header, "" where there is none."""
    parts = (header or "").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else ""
