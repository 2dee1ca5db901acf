"""Run the measurements: `python -m benchmarks [NAME ...] [--quick]`, or `make bench BENCH="NAME --quick"`."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import platform
import sys

import benchmarks


def names() -> list[str]:
    """Every module beside this one that has a `main(quick)`."""
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names())}; all when none is given")
    parser.add_argument("--quick", action="store_true", help="smaller inputs, for a look in a minute")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in names()]
    if unknown:
        parser.error(f"no measurement is called {unknown[0]}; there are {', '.join(names())}")
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    for name in given.names or names():
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main(quick=given.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
