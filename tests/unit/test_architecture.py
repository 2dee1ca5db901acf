"""The picture in docs/architecture.md, kept true: data walks down it, and pure places know no world."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app"

# A place may import its own row and every row above it.
ROWS = [
    {"times", "errors"},
    {"traces"},
    {"traceql", "analysis"},
    {"settings", "paths"},
    {"sources", "db"},
    {"security"},
    {"house"},
    {"investigation"},
    {"cases"},
    {"doctor"},
    {"web"},
    {"main"},
    {"cli"},
]
RANK = {place: rank for rank, row in enumerate(ROWS) for place in row}
# These stand aside and are reached over HTTP only, so that no client can tell them from the real thing.
ASIDE = {
    "embedded": {"times", "errors", "settings", "paths", "traces", "traceql"},
    "lab": {"times", "errors", "settings", "paths", "traces"},
}
# The lab's ground truth speaks in the names of the outcomes.
OUTCOME_NAMES = "app.analysis.verdict"
PURE = ("times.py", "errors.py", "traces", "traceql", "analysis")
WORLDLY = {"fastapi", "starlette", "httpx2", "httpx", "sqlalchemy", "aiosqlite", "jinja2", "uvicorn", "socket", "asyncio"}


def modules() -> list[Path]:
    return sorted(path for path in APP.rglob("*.py") if "_data" not in path.parts)


def place(path: Path) -> str:
    return path.relative_to(APP).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({node.module} if node.module != "app" else {f"app.{alias.name}" for alias in node.names})
    return names


def test_every_place_stands_in_the_picture():
    known = set(RANK) | set(ASIDE) | {"__init__"}
    assert {place(path) for path in modules()} <= known


def _beyond_names(path: Path) -> set[str]:
    """What a file takes from the analysis besides the outcome names."""
    return {name for name in imports(path) if name.startswith("app.analysis")} - {OUTCOME_NAMES}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(APP)))
def test_nothing_imports_upward(path):
    here = place(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("app.") and name != "app.__version__"}
    if here in ASIDE:
        named = {"analysis"} if here == "lab" and not _beyond_names(path) else set()
        assert used - {here} - named <= ASIDE[here]
    elif here in RANK and here != "cli":
        assert not used & set(ASIDE), "embedded and lab are reached over HTTP"
        above = {other for other in used if RANK.get(other, 99) > RANK[here]}
        assert not above


@pytest.mark.parametrize(
    "path", [p for p in modules() if p.relative_to(APP).parts[0] in PURE], ids=lambda p: str(p.relative_to(APP))
)
def test_pure_places_know_no_world(path):
    assert not {name.split(".")[0] for name in imports(path)} & WORLDLY
    reads_clock = [
        node for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("now_ns", "utc_now")
    ]  # fmt: skip
    assert not reads_clock, "a pure place is handed the time"
