"""The coordinator's groups as text."""

from __future__ import annotations

from tests.fakes.clock import START
from tidegate.cli.coordinator_text import group_lines
from tidegate.coordinator.model import GroupView, Holder, Rules
from tidegate.coordinator.web.views import group_document
from tidegate.jsonread import Node


def text(view: GroupView) -> str:
    return "\n".join(group_lines(Node.root(group_document(view, START)), START))


def test_a_group_that_was_removed_while_held_is_shown_as_such() -> None:
    shown = text(GroupView("web", Rules(1), (Holder("a", START), Holder("b", START)), configured=False))
    assert "web: 2 of 1 slot held" in shown
    assert "NOT CONFIGURED: its holders can release their slots" in shown
    assert "more slots are held than the group has" not in shown


def test_a_holder_whose_id_another_host_has_is_shown_with_a_remedy() -> None:
    shown = text(GroupView("web", Rules(1), (Holder("a", START, conflicting_boot_id="b" * 32),)))
    assert "TWO HOSTS use this id: one of them is a clone, and is refused" in shown
    assert "NOT CONFIGURED" not in shown
