"""The options of `clew embedded`."""

import pytest
import typer
from typer.testing import CliRunner

from app.cli.embedded import register, size
from app.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("4096", 4096), ("1B", 1), ("500MiB", 500 * 2**20), ("5GiB", 5 * 2**30), ("1.5 KB", 1500), (" 1TiB ", 2**40)],
)
def test_sizes(text, number):
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "GiB", "-1", "5 gigs", "1e3", "5gib", "١GiB", "1  KB"])
def test_what_is_no_size(text):
    with pytest.raises(InvalidInput, match="is not a size such as"):
        size(text)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--max-bytes", "much", "'much' is not a size"),
        ("--max-trace-bytes", "-", "'-' is not a size"),
        ("--retention", "3 moons", "3 moons"),
    ],
)
def test_a_wrong_option_is_one_sentence(option, value, words, tmp_path):
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, [option, value, "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert words in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "data").exists()
