"""The percentile of a list of measurements: one of them, never between two."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], q: float) -> float:
    """The smallest value that at least the share `q` of them does not exceed."""
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
