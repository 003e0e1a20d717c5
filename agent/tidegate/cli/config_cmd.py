"""``tidegate config``: check and show the configuration. Needs neither the agent nor root."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from tidegate.cli import output
from tidegate.cli.suggest import SuggestingGroup

if TYPE_CHECKING:
    from tidegate.config.keys import S
    from tidegate.config.loader import LoadedAs
    from tidegate.config.problems import Problem
    from tidegate.settings import Loaded, Settings

F = TypeVar("F", bound=Callable[..., object])


def config_root_option(command: F) -> F:
    """The option ``--config-root DIR``, repeatable, which replaces the three folders of the system."""
    return click.option(
        "--config-root",
        "roots",
        multiple=True,
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Read snippets from DIR instead of the system's folders; may be repeated, later ones win.",
    )(command)


def json_option(command: F) -> F:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def load_roots(roots: tuple[Path, ...]) -> Loaded:
    """Load the configuration from ``roots``; from the system's folders if that is empty."""
    from tidegate.settings import DEFAULT_ROOTS, load  # noqa: PLC0415 - `--help` needs no TOML

    return load(roots or DEFAULT_ROOTS)


def settings_or_exit(loaded: Loaded) -> Settings:
    """The settings. If there are problems, print them to standard error and exit with 1."""
    if loaded.settings is None:
        output.text(problem_text(loaded.problems), err=True)
        sys.exit(1)
    return loaded.settings


def tell_problems(loaded: LoadedAs[S], *, as_json: bool) -> NoReturn:
    """Print the problems of a configuration, or that there are none, and exit: with 1 if there are problems."""
    output.document(_check_report(loaded), 2) if as_json else output.text(_check_text(loaded))
    sys.exit(1 if loaded.problems else 0)


def problem_text(problems: Iterable[Problem]) -> str:
    """Each problem on a line, followed by its remedy."""
    return "\n".join(f"{_place(one)}: {one.message}\n    {one.remedy}" for one in problems)


@click.group(cls=SuggestingGroup)
def config() -> None:
    """Check and show the configuration."""


@config.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@config_root_option
@json_option
def check(paths: tuple[Path, ...], roots: tuple[Path, ...], *, as_json: bool) -> None:
    """Check the configuration and print all problems; exits with 1 if there are any.

    Without PATH, the system's snippets are checked. A PATH is a snippet or a folder of snippets. It is checked alone;
    with --config-root, as if it had been added to those folders.
    """
    tell_problems(_load_paths(roots, paths) if paths else load_roots(roots), as_json=as_json)


@config.command()
@click.option("--origin", is_flag=True, help="Show the file and line that each setting comes from.")
@config_root_option
@json_option
def show(roots: tuple[Path, ...], *, origin: bool, as_json: bool) -> None:
    """Show the effective configuration, defaults included, as one snippet."""
    loaded = load_roots(roots)
    settings = settings_or_exit(loaded)
    from tidegate.config import show as render  # noqa: PLC0415 - for this command only

    if as_json:
        output.document({"schema": 1, "settings": render.as_json(settings, loaded.origins)}, 2)
    else:
        output.text(render.as_toml(settings, loaded.origins if origin else None).removesuffix("\n"))


def _load_paths(roots: tuple[Path, ...], paths: tuple[Path, ...]) -> Loaded:
    from tidegate.settings import load  # noqa: PLC0415 - `--help` needs no TOML

    return load(roots, paths)


def _check_report(loaded: LoadedAs[S]) -> Mapping[str, object]:
    return {
        "schema": 1,
        "ok": not loaded.problems,
        "files": [str(file) for file in loaded.files],
        "problems": [
            {"file": one.file, "line": one.line, "key": one.key, "message": one.message, "remedy": one.remedy}
            for one in loaded.problems
        ],
    }


def _check_text(loaded: LoadedAs[S]) -> str:
    if loaded.problems:
        return problem_text(loaded.problems)
    count = len(loaded.files)
    return f"{count} snippet{'' if count == 1 else 's'}, no problems"


def _place(problem: Problem) -> str:
    return problem.file if problem.line is None else f"{problem.file}:{problem.line}"
