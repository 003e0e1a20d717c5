"""Where the files of a wheel belong in a system; the Debian packages put them there as well."""

from __future__ import annotations

PLACES = {
    "tidegate.service": "usr/lib/systemd/system/tidegate.service",
    "tidegate-engine.service": "usr/lib/systemd/system/tidegate-engine.service",
    "tidegate-coordinator.service": "usr/lib/systemd/system/tidegate-coordinator.service",
    "tidegate.catalog": "usr/lib/systemd/catalog/tidegate.catalog",
    "tidegate-metrics.socket": "usr/lib/systemd/system/tidegate-metrics.socket",
    "tidegate-metrics.service": "usr/lib/systemd/system/tidegate-metrics.service",
    "tidegate-metrics-textfile.service": "usr/lib/systemd/system/tidegate-metrics-textfile.service",
    "tidegate-metrics-textfile.timer": "usr/lib/systemd/system/tidegate-metrics-textfile.timer",
    "tidegate-reboot-required.path": "usr/lib/systemd/system/tidegate-reboot-required.path",
    "tidegate-reboot-required.service": "usr/lib/systemd/system/tidegate-reboot-required.service",
    "tidegate-reboot-required.sh": "usr/lib/tidegate/reboot-required.sh",
    "tidegate-shutdown.service": "usr/lib/systemd/system/tidegate-shutdown.service",
    "tidegate-shutdown.sh": "usr/lib/tidegate/shutdown.sh",
    "tidegate.preset": "usr/lib/systemd/system-preset/50-tidegate.preset",
    "tidegate.sysusers.conf": "usr/lib/sysusers.d/tidegate.conf",
    "tidegate.tmpfiles.conf": "usr/lib/tmpfiles.d/tidegate.conf",
    "org.tidegate.conf": "usr/share/dbus-1/system.d/org.tidegate.conf",
    "org.tidegate.Agent1.xml": "usr/share/dbus-1/interfaces/org.tidegate.Agent1.xml",
    "org.tidegate.Engine1.service": "usr/share/dbus-1/system-services/org.tidegate.Engine1.service",
    "50-tidegate.rules": "usr/share/polkit-1/rules.d/50-tidegate.rules",
    "org.tidegate.agent1.policy": "usr/share/polkit-1/actions/org.tidegate.agent1.policy",
}
COMPLETIONS = {
    "tidegate.bash": "usr/share/bash-completion/completions/tidegate",
    "tidegate.fish": "usr/share/fish/vendor_completions.d/tidegate.fish",
    "tidegate.zsh": "usr/share/zsh/vendor-completions/_tidegate",
}
MANUALS = "usr/share/man"
COMMAND = "usr/bin/tidegate"
CONFIG = "usr/lib/tidegate/config.d"
SITE_FOLDERS = ("etc/tidegate/config.d", "etc/tidegate/coordinator.d")
"""The folders of the administrator's snippets, which are made empty."""
EXAMPLES = "usr/share/doc/tidegate/examples"
"""Dashboard, alerts, the coordinator's examples and the JSON schemas."""
