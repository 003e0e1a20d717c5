"""Stand-ins for what the agent, the engine helper and the coordinator talk to, and the values that tests start from.

A fake keeps the protocol of the part that it stands for, and can be slow, fail, or say yes and do nothing.

Locks. Which one depends on the side that is tested:

- :mod:`.lock_server`: the agent's side. FleetLock servers in memory, for the machine, the runner and the fault harness.
- :mod:`.memory_locks`: the coordinator's HTTP side. Its locks in memory, without a store; calls can be held or fail.
- :mod:`.memory_store`: the coordinator's combiner. A store in memory that errs, hangs, conflicts and carries out late.
- :mod:`.running_coordinator`: a whole coordinator on real sockets, in a thread, over any locks.
- :mod:`.locks_at`: its settings on loopback, and a way to serve given locks.
- :mod:`.bad_requests`: requests that every lock server must reject, with the answers; data only.
- :mod:`.etcd_server`: a real etcd of one member.

Values and time: :mod:`.builders` (values of the machine, and ``Walk``, which drives it event by event),
:mod:`.agent_walks` (agents in every situation that a report can show, by name), :mod:`.snapshots` (documents as the
agent writes them), :mod:`.clock` and :mod:`.alarm` (move only when a test moves them), :mod:`.asyncs` (runs a scenario
with a deadline).

Hosts and buses: :mod:`.engine` (an OSTree host in memory), :mod:`.private_bus` (a real dbus-daemon), :mod:`.logind`,
:mod:`.systemd1` and :mod:`.polkit` (services on it), :mod:`.bus_agent` (the agent's own service over notes).

HTTP: :mod:`.http_misbehaving` (bytes as a test wants them), :mod:`.flaky_server` (a folder, with faults),
:mod:`.signed_updates` (a publisher of signed graphs), :mod:`.plain_http`, :mod:`.certificates`, :mod:`.free_port`;
:mod:`.samples` reads Prometheus' text.
"""
