"""The backend's metrics about itself."""

from __future__ import annotations

from app.embedded.arrivals import Arrivals
from app.embedded.receiver import Receiver
from app.embedded.store import Store


class Health:
    def __init__(self, store: Store, receiver: Receiver, arrivals: Arrivals) -> None:
        self._store = store
        self._receiver = receiver
        self._arrivals = arrivals

    def exposition(self) -> str:
        """OpenMetrics text, without its closing line."""
        receiver = self._receiver
        lines = [
            *_counter("clew_embedded_accepted_spans", "Spans committed to the store.", receiver.accepted),
            *_counter("clew_embedded_refused_spans", "Spans without valid ids, or not written.", receiver.refused),
            *_counter("clew_embedded_late_spans", "Spans stored too late to count in span metrics.", self._arrivals.late),
            "# TYPE clew_embedded_exports counter",
            "# HELP clew_embedded_exports Export requests by HTTP status.",
            *(f'clew_embedded_exports_total{{status="{status}"}} {n}' for status, n in sorted(receiver.requests.items())),
            *_gauge("clew_embedded_waiting_spans", "Spans received and not committed yet.", self._store.waiting),
            *_gauge("clew_embedded_store_bytes", "Bytes of the store in use.", self._store.bytes_used),
            *_gauge("clew_embedded_store_limit_bytes", "Bytes at which the oldest go.", self._store.retention.max_bytes),
            *_gauge("clew_embedded_attribute_keys", "Attribute names and types known.", len(self._store.keys.ranges)),
        ]
        return "\n".join(lines) + "\n"


def _counter(name: str, help_: str, value: int) -> list[str]:
    return [f"# TYPE {name} counter", f"# HELP {name} {help_}", f"{name}_total {value}"]


def _gauge(name: str, help_: str, value: int) -> list[str]:
    return [f"# TYPE {name} gauge", f"# HELP {name} {help_}", f"{name} {value}"]
