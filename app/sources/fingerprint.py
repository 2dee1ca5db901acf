"""The name of a label set, as Prometheus and Alertmanager compute it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_OFFSET = 14_695_981_039_346_656_037
_PRIME = 1_099_511_628_211
_MASK = 2**64 - 1


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 hex digits: FNV-1a over names and values in order of the names, each followed by a byte that UTF-8 never has.

    It names the label set, not an episode: the same alert firing again has the same one.
    """
    value = _OFFSET
    for name in sorted(labels, key=lambda name: name.encode("utf-8", "replace")):
        for text in (name, labels[name]):
            for byte in (*text.encode("utf-8", "replace"), 0xFF):
                value = (value ^ byte) * _PRIME & _MASK
    return f"{value:016x}"
