"""The engine on a host that libostree takes for booted: staging, the lock, shutdowns, boots, rollback.

Every ``with host.boot()`` is one boot; its end is a power cut unless ``finalize`` played the shutdown before.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.fakes.flaky_server import FlakyServer
from tests.integration.ostree.pretend_host import Answer, Boot, PretendHost
from tests.integration.ostree.tiny_os import REF, REMOTE, Published

pytestmark = pytest.mark.root

LOCK = "/run/ostree/staged-deployment-locked"


def ok(answer: Answer) -> Any:
    """The result of a verb that must succeed."""
    assert answer.kind is None, f"{answer.kind}: {answer.message}"
    return answer.result


def status(boot: Boot) -> dict[str, Any]:
    """What the engine says of the host."""
    result: dict[str, Any] = ok(boot.engine("status"))
    return result


def payloads(boot: Boot) -> tuple[str, tuple[str, bool] | None, list[str]]:
    """Booted; staged and whether locked; entries in boot order."""
    seen = status(boot)
    staged = seen["staged"] and (seen["staged"]["payload"], seen["staged"]["locked"])
    return seen["booted"]["payload"], staged, [entry["payload"] for entry in seen["entries"]]


def stage_by_hand(boot: Boot, checksum: str, *, locked: bool = False) -> None:
    """What an operator does who does not know of us."""
    boot.run("ostree", "pull", REMOTE, f"{REF}@{checksum}")
    if locked:
        boot.run("touch", LOCK)
    boot.run("ostree", "admin", "deploy", "--stage", f"{REMOTE}:{REF}")
    boot.run("systemctl", "start", "ostree-finalize-staged.service")  # as the .path unit does


def update(host: PretendHost, checksum: str) -> None:
    """Go to a release, shutdown included."""
    with host.boot() as boot:
        ok(boot.engine("stage", checksum))
        ok(boot.engine("arm", checksum))
        assert "Bootloader updated" in boot.finalize()


def test_from_one_release_to_the_next_and_back(host: PretendHost, published: Published, server: FlakyServer) -> None:
    v1, v2 = published.v1, published.v2
    with host.boot() as boot:
        assert payloads(boot) == (v1, None, [v1])
        ok(boot.engine("stage", v2))
        assert payloads(boot) == (v1, (v2, True), [v1])
        boot.finalize()  # a shutdown while locked
    with host.boot() as boot:
        assert payloads(boot) == (v1, None, [v1])  # still the old one, the staging gone with /run
        server.forget()
        ok(boot.engine("stage", v2))
        assert server.hits == []  # but everything that was fetched is kept
        ok(boot.engine("arm", v2))
        assert payloads(boot) == (v1, (v2, False), [v1])
        assert "Bootloader updated" in boot.finalize()
    with host.boot() as boot:
        assert payloads(boot) == (v2, None, [v2, v1])
        assert status(boot)["booted"]["version"] == "2.0"
        assert f"origin refspec: {REMOTE}:{REF}" in boot.run("ostree", "admin", "status")
        ok(boot.engine("mark_good", v2))
        assert status(boot)["rollback"] == {"version": "1.0", "payload": v1}
        assert boot.engine("rollback", published.v3).kind == "engine.no-rollback"
        assert boot.engine("rollback", v2).kind == "engine.no-rollback"  # it is booted
        assert payloads(boot) == (v2, None, [v2, v1])
        ok(boot.engine("rollback", v1))
        ok(boot.engine("rollback", v1))  # once more changes nothing
        assert status(boot)["rollback"] == {"version": "1.0", "payload": v1}
        assert payloads(boot) == (v2, None, [v1, v2])
    with host.boot() as boot:
        assert payloads(boot) == (v1, None, [v1, v2])


def test_a_read_only_sysroot_is_no_obstacle(host: PretendHost, published: Published) -> None:
    with host.boot(read_only=True) as boot:
        ok(boot.engine("stage", published.v2))
        ok(boot.engine("discard", published.v2))
        ok(boot.engine("stage", published.v2))
        ok(boot.engine("arm", published.v2))
        boot.finalize()
    with host.boot(read_only=True) as boot:
        ok(boot.engine("rollback", published.v1))
    with host.boot(read_only=True) as boot:
        assert payloads(boot)[0] == published.v1
        ok(boot.engine("prune_rollback"))
        assert payloads(boot)[2] == [published.v1]


def test_what_is_booted_or_staged_is_not_fetched_again(
    host: PretendHost, published: Published, server: FlakyServer
) -> None:
    with host.boot() as boot:
        ok(boot.engine("stage", published.v1))
        assert payloads(boot)[1] is None
        ok(boot.engine("stage", published.v2))
        server.forget()
        ok(boot.engine("stage", published.v2))
        assert server.hits == []


def test_a_newer_target_takes_the_place_of_a_locked_one(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        ok(boot.engine("stage", published.v2))
        ok(boot.engine("stage", published.v3))
        assert payloads(boot)[1] == (published.v3, True)


def test_disarming_locks_and_keeps_the_download(host: PretendHost, published: Published, server: FlakyServer) -> None:
    with host.boot() as boot:
        ok(boot.engine("stage", published.v2))
        ok(boot.engine("arm", published.v2))
        server.forget()
        for _ in range(2):
            ok(boot.engine("disarm", published.v2))
            assert payloads(boot)[1] == (published.v2, True)
        boot.finalize()
        assert payloads(boot)[2] == [published.v1]
        ok(boot.engine("arm", published.v2))
        ok(boot.engine("arm", published.v2))
        assert payloads(boot)[1] == (published.v2, False)
        assert server.hits == []


def test_disarming_after_a_fall_back_makes_the_booted_release_the_default(
    host: PretendHost, published: Published
) -> None:
    old = host.sysroot.default_entry()
    update(host, published.v2)
    with host.boot(entry=old) as boot:
        assert payloads(boot) == (published.v1, None, [published.v2, published.v1])
        ok(boot.engine("disarm", published.v2))
        assert payloads(boot) == (published.v1, None, [published.v1, published.v2])
        ok(boot.engine("disarm", published.v2))
    with host.boot() as boot:
        assert payloads(boot)[0] == published.v1


def test_disarming_what_was_staged_anew_after_a_fall_back(host: PretendHost, published: Published) -> None:
    old = host.sysroot.default_entry()
    update(host, published.v2)
    with host.boot(entry=old) as boot:
        ok(boot.engine("stage", published.v2))
        ok(boot.engine("disarm", published.v2))
        assert payloads(boot)[2][0] == published.v1


def test_arming_refuses_what_is_not_staged(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        assert boot.engine("arm", published.v2).kind == "engine.not-staged"
        ok(boot.engine("stage", published.v2))
        assert boot.engine("arm", published.v3).kind == "engine.not-staged"
        assert payloads(boot)[1] == (published.v2, True)


def test_arming_needs_the_unit_that_finalizes(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        ok(boot.engine("stage", published.v2))
        boot.run("touch", "/run/stub/lost")
        answer = boot.engine("arm", published.v2)
        assert answer.kind == "engine.failed"
        assert "ostree-finalize-staged.service" in answer.message
        assert payloads(boot)[1] == (published.v2, True)


def test_staging_without_that_unit_fails_and_leaves_nothing_unlocked(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        boot.run("mkdir", "-p", "/run/stub")
        boot.run("touch", "/run/stub/refuse")
        assert boot.engine("stage", published.v2).kind == "engine.failed"
        staged = payloads(boot)[1]
        assert staged is None or staged[1]
        assert (staged is not None) == boot.exists(LOCK)
        boot.run("rm", "/run/stub/refuse")
        ok(boot.engine("stage", published.v2))
        assert payloads(boot)[1] == (published.v2, True)


def test_discarding_drops_its_own_and_only_that(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        ok(boot.engine("discard", published.v2))
        ok(boot.engine("stage", published.v2))
        ok(boot.engine("discard", published.v3))
        assert payloads(boot)[1] == (published.v2, True)
        ok(boot.engine("discard", published.v2))
        assert payloads(boot) == (published.v1, None, [published.v1])
        assert not boot.exists(LOCK)
        assert host.sysroot.local_ref() == published.v1
        assert not host.sysroot.has_commit(published.v2)


def test_a_lock_file_of_a_staging_that_was_killed_is_cleared(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        boot.run("touch", LOCK)
        ok(boot.engine("discard", published.v2))
        assert not boot.exists(LOCK)


def test_the_target_staged_by_other_hands_is_adopted(
    host: PretendHost, published: Published, server: FlakyServer
) -> None:
    with host.boot() as boot:
        stage_by_hand(boot, published.v2)
        assert payloads(boot)[1] == (published.v2, False)
        server.forget()
        assert boot.engine("stage", published.v2).steps == ["adopt"]
        assert payloads(boot)[1] == (published.v2, True)
        assert server.hits == []


def test_another_release_released_by_other_hands_is_left_alone(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        stage_by_hand(boot, published.v2)
        answer = boot.engine("stage", published.v3)
        assert answer.kind == "engine.foreign-staging"
        assert published.v2 in answer.message
        assert "ostree admin undeploy" in answer.remedy
        assert boot.engine("rollback", published.v1).kind == "engine.no-rollback"
        assert payloads(boot)[1] == (published.v2, False)
        assert "Bootloader updated" in boot.finalize()


def test_another_release_that_nobody_released_gives_way(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        stage_by_hand(boot, published.v2, locked=True)
        ok(boot.engine("stage", published.v3))
        assert payloads(boot)[1] == (published.v3, True)


def test_a_rollback_does_not_override_what_somebody_released(host: PretendHost, published: Published) -> None:
    update(host, published.v2)
    with host.boot() as boot:
        stage_by_hand(boot, published.v3)
        assert boot.engine("rollback", published.v1).kind == "engine.foreign-staging"
        assert payloads(boot) == (published.v2, (published.v3, False), [published.v2, published.v1])
        boot.run("touch", LOCK)
        ok(boot.engine("rollback", published.v1))
        assert payloads(boot) == (published.v2, None, [published.v1, published.v2])


@pytest.mark.parametrize("earlier", [False, True], ids=["nothing staged before", "something staged before"])
def test_a_staging_that_fails_leaves_no_lock_without_owner(
    host: PretendHost, published: Published, *, earlier: bool
) -> None:
    with host.boot() as boot:
        if earlier:
            ok(boot.engine("stage", published.v3))
        boot.run("ostree", "pull", REMOTE, f"{REF}@{published.v2}")
        host.sysroot.lose_an_object(published.v2)  # bit rot: the checkout will not find it
        assert boot.engine("stage", published.v2).kind is not None
        booted, staged, entries = payloads(boot)
        assert (booted, entries) == (published.v1, [published.v1])
        assert staged in (None, (published.v3, True))
        assert boot.exists(LOCK) == (staged is not None)


def test_pinned_releases_survive_the_pruning(host: PretendHost, published: Published) -> None:
    update(host, published.v2)
    with host.boot() as boot:
        boot.run("ostree", "admin", "pin", "1")
    update(host, published.v3)
    with host.boot() as boot:
        assert payloads(boot)[2] == [published.v3, published.v2, published.v1]
        ok(boot.engine("prune_rollback"))
        assert payloads(boot)[2] == [published.v3, published.v1]
        assert boot.engine("mark_good", published.v1).kind == "engine.bad-argument"


def test_what_is_staged_survives_the_deletion_of_older_releases(host: PretendHost, published: Published) -> None:
    update(host, published.v2)
    with host.boot(read_only=True) as boot:
        ok(boot.engine("stage", published.v3))
        ok(boot.engine("prune_rollback"))
        booted, staged, entries = payloads(boot)
        assert (booted, staged, entries) == (published.v2, (published.v3, True), [published.v2])


def log(boot: Boot, file: str, message: str, at: float) -> None:
    """Let the stub of journalctl have one entry."""
    entry = json.dumps({"MESSAGE": message, "__REALTIME_TIMESTAMP": f"{at * 1e6:.0f}"})
    boot.run("sh", "-c", f"echo '{entry}' > /run/stub/{file}")


def test_a_finalization_that_failed_is_reported(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        ok(boot.engine("stage", published.v2))
        ok(boot.engine("arm", published.v2))
        before = int(time.time())
        boot.run("chattr", "+i", "/sysroot/boot")  # the boot loader's entries cannot be written
        assert "error" in boot.finalize()
        boot.run("chattr", "-i", "/sysroot/boot")
    with host.boot() as boot:
        seen = status(boot)
        assert seen["booted"]["payload"] == published.v1
        assert "Operation not permitted" in seen["finalize_failure"]
        assert before <= seen["failed_at"] <= time.time()
        complaint = boot.attempt("env", "INVOCATION_ID=1", "ostree", "admin", "boot-complete")
        assert "Operation not permitted" in complaint.stderr  # it has read and deleted the stamp
        assert status(boot)["finalize_failure"] is None
        boot.run("sh", "-c", "echo ActiveState=failed > /run/stub/boot-complete")
        assert "ostree-boot-complete.service" in status(boot)["finalize_failure"]
        log(boot, "boot-complete-said", "error: finalizing failed", 1.0)
        seen = status(boot)
        assert (seen["finalize_failure"], seen["failed_at"]) == ("error: finalizing failed", None)
        log(boot, "last-shutdown", "Failed with result exit-code.", 1_790_000_000.5)
        seen = status(boot)
        assert (seen["finalize_failure"], seen["failed_at"]) == ("error: finalizing failed", 1_790_000_000.5)


def test_a_finalization_that_was_killed_is_found_in_the_journal(host: PretendHost) -> None:
    with host.boot() as boot:
        boot.run("mkdir", "-p", "/run/stub")
        assert status(boot)["finalize_failure"] is None
        log(boot, "last-shutdown", "Failed with result timeout.", 1_790_000_000.5)
        seen = status(boot)
        assert (seen["finalize_failure"], seen["failed_at"]) == ("Failed with result timeout.", 1_790_000_000.5)


def test_an_old_stamp_is_not_the_account_of_a_new_attempt(host: PretendHost, published: Published) -> None:
    with host.boot() as boot:
        boot.run("sh", "-c", "echo old story > /boot/ostree/finalize-failure.stamp")
        assert status(boot)["finalize_failure"] == "old story"
        ok(boot.engine("stage", published.v2))
        assert status(boot)["finalize_failure"] is None


def test_a_boot_partition_that_is_too_small_is_noticed_before_the_shutdown(
    host: PretendHost, published: Published
) -> None:
    with host.boot() as boot:
        boot.shrink_boot(size_kb=128)
        answer = boot.engine("stage", published.v2)
        assert answer.kind == "engine.no-space"
        assert "/boot" in answer.message
        assert payloads(boot) == (published.v1, None, [published.v1])
        assert not boot.exists(LOCK)
