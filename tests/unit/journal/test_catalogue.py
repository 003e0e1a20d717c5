"""Topics, their ids, the journal's catalogue and the manual agree."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tidegate.machine.topics import Topic

CHECKOUT = Path(__file__).resolve().parents[3]
CATALOGUE = CHECKOUT / "systemd/tidegate.catalog"
MANUAL = (CHECKOUT / "contrib/man/tidegate.1.md").read_text(encoding="utf-8")

FIELDS = {"@TIDEGATE_RELEASE@"}
"""What an entry about a release has; a field that is missing is shown as its name."""


def entries() -> dict[str, str]:
    _, *parts = re.split(r"^-- ", CATALOGUE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part[:32]: part[33:] for part in parts}


def test_every_topic_has_an_id_of_its_own() -> None:
    assert len({topic.message_id for topic in Topic}) == len(Topic)
    assert all(re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", topic.message_id) for topic in Topic)


def test_every_id_is_explained_in_the_order_of_the_topics() -> None:
    assert list(entries()) == [topic.message_id for topic in Topic]


@pytest.mark.parametrize("topic", Topic)
def test_an_explanation_says_what_it_means(topic: Topic) -> None:
    head, _, text = entries()[topic.message_id].partition("\n\n")
    assert re.fullmatch(r"Subject: \S.{8,}\nDefined-By: Tidegate\nDocumentation: man:tidegate\(1\)", head)
    assert len(text.split()) > 6
    assert set(re.findall(r"@\w+@", head + text)) <= FIELDS


def test_the_manual_has_every_topic_with_its_id() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| `([0-9a-f]{32})` \| ", MANUAL, re.MULTILINE))
    assert rows == {topic.value: topic.message_id for topic in Topic}


def test_commands_that_are_recommended_exist() -> None:
    from tidegate.cli.entry import COMMANDS  # noqa: PLC0415 - only this test needs the command line

    named = set(re.findall(r"^    tidegate ([a-z]+)", CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named <= set(COMMANDS), "those who add a command keep its name; those who drop one see it here"


def test_systemd_reads_it(tmp_path: Path) -> None:
    """Where journalctl is not installed there is nobody to misread it."""
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (folder / "tidegate.catalog").write_bytes(CATALOGUE.read_bytes())
    try:
        done = subprocess.run(
            ["journalctl", f"--root={tmp_path}", "--update-catalog"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("journalctl is not installed")
    assert (done.returncode, done.stderr) == (0, "")
