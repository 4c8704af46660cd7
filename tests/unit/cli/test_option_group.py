"""Options that are taken as one argument."""

from __future__ import annotations

import inspect
from typing import Annotated, NamedTuple

import typer
from typer.testing import CliRunner

from tapewire.cli.option_group import grouped


class Size(NamedTuple):
    """What a thing measures."""

    width: Annotated[int, typer.Argument(min=1)]
    height: Annotated[int, typer.Option(min=1)] = 2

    @property
    def area(self) -> int:
        return self.width * self.height


class Colour(NamedTuple):
    name: Annotated[str, typer.Option("--colour")] = "red"


def paint(size: Size, word: Annotated[str, typer.Argument()], colour: Colour) -> None:
    """Say what would be painted."""
    typer.echo(f"{size.area} {word} {colour.name}")


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer(add_completion=False)
    app.command()(grouped(paint))
    ended = CliRunner().invoke(app, arguments)
    return ended.exit_code, ended.output


def test_fields_are_arguments_and_options_of_the_command_in_its_order() -> None:
    assert run("3", "wall", "--height", "4", "--colour", "blue") == (0, "12 wall blue\n")
    assert run("3", "wall") == (0, "6 wall red\n")


def test_what_is_asked_of_a_field_is_asked_of_the_option() -> None:
    status, said = run("0", "wall")
    assert status == 2
    assert "greater than or equal to 1" in said


def test_the_command_says_what_it_does_and_has_one_parameter_a_field() -> None:
    command = grouped(paint)
    assert command.__doc__ == paint.__doc__
    assert list(inspect.signature(command).parameters) == ["width", "height", "word", "name"]
