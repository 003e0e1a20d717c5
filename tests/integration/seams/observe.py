"""Print what the package knows once one of its packages has a module more.

    python -m tests.integration.seams.observe PACKAGE FOLDER OBSERVER ROOT BAD

The modules in FOLDER join PACKAGE. OBSERVER is imported after that, since most tables are derived while their modules
are imported. Its ``found(ROOT)``, for the snippets in ROOT, is printed as JSON, with what ``tidegate config show`` says
of ROOT, and ``tidegate config check`` of the snippet BAD.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from click.testing import CliRunner


def command(*arguments: str) -> tuple[int, str]:
    """The exit status and the output of ``tidegate config``."""
    done = CliRunner().invoke(import_module("tidegate.cli.config_cmd").config, arguments)
    return done.exit_code, done.output


def main() -> None:
    package, folder, observer, root, bad = sys.argv[1:]
    import_module(package).__path__.append(folder)
    found = import_module(observer).found(Path(root))
    shown = command("show", "--config-root", root)
    json.dump({**found, "show": shown, "check": command("check", bad)}, sys.stdout)


if __name__ == "__main__":
    main()
