"""One file's trace loaded and let go here, twice: resident bytes before, at the peak, held, and after each. Linux only."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import app.main  # noqa: F401 - what the server holds anyway
from app.analysis.examine import examine
from app.analysis.rulebook import shipped
from app.traces import build, otlp


def main() -> None:
    file = Path(sys.argv[1])
    shipped()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    peak, held = _load(file)
    first = _status("VmRSS")
    _load(file)
    print(before, peak, held, first, _status("VmRSS"))


def _load(file: Path) -> tuple[int, int]:
    body = file.read_bytes()
    trace = build.build(otlp.decode(body))
    verdict = examine(trace)
    figures = _status("VmHWM"), _status("VmRSS")
    del body, trace, verdict
    gc.collect()
    return figures


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
