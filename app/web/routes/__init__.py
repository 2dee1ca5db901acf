"""One router per area: ask, call one verb, render."""
