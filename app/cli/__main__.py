"""The `clew` command.

Each sub-command has its own module with `register(app)`; only the one that is asked for is imported, so that
`clew explain` does not wait for a web framework. A module imports what is heavy inside its command.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

import app as clew
from app.errors import AppError

# Command to module. `clew --help` imports them all; keep their top level light.
COMMANDS: dict[str, str] = {
    "serve": "app.cli.serve",
    "user": "app.cli.user",
    "db": "app.cli.db",
    "explain": "app.cli.explain",
    "doctor": "app.cli.doctor",
    "rules": "app.cli.rules",
    "export": "app.cli.export",
    "embedded": "app.cli.embedded",
    "lab": "app.cli.lab",
    "demo": "app.cli.demo",
}

# Library to the extra that brings it, for the sentence when it is missing.
_EXTRAS = {"psycopg": "postgres", "jwt": "lab", "opentelemetry.sdk": "lab", "opentelemetry.instrumentation": "lab"}


def main() -> None:
    """Entry point: run a command; its failures are sentences on standard error and exit code 2."""
    try:
        build(sys.argv[1:])()
    except AppError as error:
        _fail(error.sentence)
    except ModuleNotFoundError as error:
        extra = next((extra for name, extra in _EXTRAS.items() if (error.name or "").startswith(name)), None)
        if extra is None:
            raise
        _fail(f"This needs the extra {extra!r}: pip install 'clew[{extra}]'")


def build(arguments: list[str]) -> typer.Typer:
    """The command line with what the arguments need."""
    application = typer.Typer(
        name="clew", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    application.callback()(_root)
    asked = next((word for word in arguments if not word.startswith("-")), "")
    for module in [COMMANDS[asked]] if asked in COMMANDS else COMMANDS.values():
        import_module(module).register(application)
    return application


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clew {clew.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Follows the thread of a trace to the door that was shut."""


def _fail(sentence: str) -> None:
    typer.echo(sentence, err=True)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
