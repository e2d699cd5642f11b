"""Command-line options derived from the fields of a settings record."""

from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import AliasChoices, Field, FiniteFloat

from forager.cli.derived import Derived, setting
from forager.cli.values import Numbers, TextFile
from forager.cli.verb import Option, Verb
from forager.errors import UsageError
from forager.records import Record


class Rates(Record):
    """A table within settings."""

    low: FiniteFloat = Field(0.25, ge=0, le=1, description="The lowest rate.")


class Settings(Record):
    """Every kind of field that becomes an option."""

    name: str = Field(description="The name.")
    count: int = Field(12_000, gt=1, description="The count.")
    most: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("most", "at_most"),
        description="The largest number.",
    )
    colour: Literal["red", "blue"] = Field("red", description="The colour.")
    level: Literal[1, 2] = Field(1, description="The level.")
    quick: bool = Field(False, description="Be quick.")
    sorted: bool = Field(
        True, validation_alias=AliasChoices("sorted", "ordered"), description="Sort the results."
    )
    words: list[str] = Field([], description="A word. Can be repeated.")
    numbers: list[float] = Field([], description="Numbers between commas.")
    body: dict[str, Any] = Field({}, description="A JSON object.")
    text: str = Field("a long text", description="File of the text.")
    place: Path | None = Field(None, description="A file.")
    rates: Rates = Field(Rates(), description="TOML file of rates.")
    hidden: int = Field(3, description="Has no option.")


DERIVED = Derived(
    f"{__name__}:Settings",
    {
        "Names": [setting("name", "-n", "--name"), "colour", "level", "words", "place"],
        "Numbers": [
            "count",
            "most",
            setting("rates.low", "--low-rate"),
            setting("rates", "--rates-file", metavar="FILE"),
            setting("numbers", type=Numbers()),
        ],
        "Others": ["quick", "sorted", "body", setting("text", type=TextFile())],
    },
)


@click.command(cls=Verb, settings=DERIVED)
@click.option("--own", is_flag=True, help="An option of the verb itself.")
def verb(own: bool, **params: Any) -> None:
    """Print the given settings."""
    del own
    values = DERIVED.given(params)
    click.echo(values)
    click.echo(DERIVED.build(values).model_dump_json())


def run(*arguments: str) -> str:
    """Return what the verb prints."""
    result = CliRunner().invoke(verb, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_not_given_keeps_the_default_of_the_record() -> None:
    """Options that are not given leave their fields to a settings file."""
    given, built = run("-n", "a").splitlines()
    assert given == "{'name': 'a'}"
    assert built == Settings(name="a").model_dump_json()


def test_each_kind_of_field(tmp_path: Path) -> None:
    """Texts, numbers, choices, flags, lists, objects, files and table fields are options."""
    (tmp_path / "text").write_text("some text\n")
    given = run(
        *("--name", "a", "--count", "5", "--most", "2", "--colour", "blue", "--level", "2"),
        *("--quick", "--no-sorted", "--words", "x", "--words", "y", "--numbers", "1,2.5"),
        *("--body", '{"a": 1}', "--text", str(tmp_path / "text"), "--place", "p", "--own"),
        *("--low-rate", "0.5"),
    )
    expected = Settings(
        name="a",
        count=5,
        most=2,
        colour="blue",
        level=2,
        quick=True,
        sorted=False,
        words=["x", "y"],
        numbers=[1, 2.5],
        body={"a": 1},
        text="some text",
        place=Path("p"),
        rates=Rates(low=0.5),
    )
    assert given.splitlines()[-1] == expected.model_dump_json()


def test_a_table_is_a_file(tmp_path: Path) -> None:
    """A table is a TOML file; an error in it names file and key."""
    file = tmp_path / "rates.toml"
    file.write_text("low = 0.75\n")
    assert '"rates":{"low":0.75}' in run("-n", "a", "--rates-file", str(file))
    file.write_text("low = 7\n")
    with pytest.raises(UsageError, match=r"rates\.toml: low: Input should be less than"):
        verb.main(["-n", "a", "--rates-file", str(file)], standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "Missing option '-n' / '--name'"),
        ("-n a --count 1", "'--count': 1 is not in the range x>1"),
        ("-n a --most 0", "'--most': 0 is not in the range x>=1"),
        ("-n a --low-rate 2", "'--low-rate': 2.0 is not in the range 0<=x<=1"),
        ("-n a --low-rate nan", "--low-rate: Input should be a finite number"),
        ("-n a --colour green", "'--colour': 'green' is not one of 'red', 'blue'"),
        ("-n a --body []", "'--body': '[]' is not a JSON object"),
        ("-n a --numbers 1,x", "'--numbers': '1,x' is not a number, nor numbers between commas"),
        ("-n a --text nowhere", "'--text': cannot read nowhere"),
    ],
)
def test_a_mistake_names_the_option(arguments: str, message: str) -> None:
    """The record's bounds and choices hold, and errors name the option."""
    with pytest.raises((click.UsageError, UsageError)) as caught:
        verb.main(arguments.split(), standalone_mode=False)
    error = caught.value
    shown = error.format_message() if isinstance(error, click.UsageError) else str(error)
    assert message in shown


def test_the_earlier_spelling_works_unseen() -> None:
    """An alias of a field is a hidden spelling of its option, with a value or as a flag."""
    assert run("-n", "a", "--at-most", "4") == run("-n", "a", "--most", "4")
    assert run("-n", "a", "--no-ordered") == run("-n", "a", "--no-sorted")
    assert "at-most" not in run("--help")


def test_help_shows_fields_under_headings() -> None:
    """Help has the record's descriptions, bounds and defaults, with separated thousands."""
    shown = run("--help")
    lines = {" ".join(line.split()) for line in shown.splitlines()}
    assert [shown.index(f"\n{name}:\n") for name in ("Options", "Names", "Numbers", "Others")] == (
        sorted(shown.index(f"\n{name}:\n") for name in ("Options", "Names", "Numbers", "Others"))
    )
    assert lines >= {
        "-n, --name TEXT The name. [required]",
        "--count N The count. [default: 12,000; x>1]",
        "--low-rate X The lowest rate. [default: 0.25; 0<=x<=1]",
        "--colour [red|blue] The colour. [default: red]",
        "--sorted / --no-sorted Sort the results. [default: sorted]",
        "--quick Be quick.",
        "--text FILE File of the text.",
    }


def test_options_are_known_without_a_value() -> None:
    """A generator of documentation reads names, headings and help from the verb."""
    found = [option for option in verb.params if isinstance(option, Option)]
    assert [option.heading for option in found] == [
        *5 * ["Names"],
        *5 * ["Numbers"],
        *4 * ["Others"],
    ]
    assert all((option.help or "").endswith(".") for option in found)
