"""What Alertmanager's webhook delivers, read strictly where it matters and leniently elsewhere. Pure.

Delivery is at least once, late by the grouping times, and repeated while an alert fires: whoever stores it takes
(fingerprint, start, state) as the key. Newer versions add keys, and operators may replace the payload altogether.
"""

from __future__ import annotations

import msgspec

from app.errors import InvalidInput
from app.sources.fingerprint import fingerprint
from app.sources.values import AlertState, FiringAlert, WebhookNotification
from app.times import parse_iso

MAX_BYTES = 1_000_000


class _Alert(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    starts_at: str
    status: str = "firing"
    ends_at: str = ""
    annotations: dict[str, str] | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""

    def as_alert(self, receiver: str) -> FiringAlert:
        resolved = self.status == "resolved"
        return FiringAlert(
            source="webhook",
            labels=self.labels,
            annotations=self.annotations or {},
            state=AlertState.RESOLVED if resolved else AlertState.FIRING,
            started_ns=parse_iso(self.starts_at),
            # While it fires, the end is the year 1.
            ended_ns=parse_iso(self.ends_at) if resolved and self.ends_at else None,
            fingerprint=self.fingerprint or fingerprint(self.labels),
            generator_url=self.generator_url,
            receivers=(receiver,) if receiver else (),
        )


class _Payload(msgspec.Struct, rename="camel"):
    alerts: list[_Alert]
    receiver: str = ""
    group_key: str = ""
    group_labels: dict[str, str] | None = None
    common_labels: dict[str, str] | None = None
    common_annotations: dict[str, str] | None = None
    external_url: str = msgspec.field(default="", name="externalURL")
    truncated_alerts: int = 0


def decode_webhook(body: bytes) -> WebhookNotification:
    """A notification in Alertmanager's format, version 4.

    Errors: InvalidInput says what is missing or wrong.
    """
    if len(body) > MAX_BYTES:
        raise InvalidInput(f"The notification is larger than {MAX_BYTES:,} bytes.")
    try:
        payload = msgspec.json.decode(body, type=_Payload)
    except (UnicodeDecodeError, RecursionError):
        raise InvalidInput("This is not a notification of Alertmanager: it is not readable JSON.") from None
    except msgspec.MsgspecError as error:
        why = str(error)[:200].rstrip(".")
        raise InvalidInput(f"This is not a notification of Alertmanager: {why[:1].lower()}{why[1:]}.") from None
    return WebhookNotification(
        receiver=payload.receiver,
        group_key=payload.group_key,
        group_labels=payload.group_labels or {},
        common_labels=payload.common_labels or {},
        common_annotations=payload.common_annotations or {},
        external_url=payload.external_url,
        truncated_alerts=max(0, payload.truncated_alerts),
        alerts=tuple(alert.as_alert(payload.receiver) for alert in payload.alerts),
    )
