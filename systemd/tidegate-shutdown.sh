# Run while the host goes down, after ostree has switched to the next release and before /boot is unmounted.
#
# A boot loader replays no journal. ostree before 2025.2 leaves the switch in the journal of /boot and deletes what the
# menu before needs; a power cut from then until /boot is unmounted, which a slow service can delay for minutes, leaves a
# host that does not boot. So /boot is flushed at once.
#
# The note says that this boot ended with a shutdown. An update that was under way in a boot without one was not to blame
# for its end. The start of process 1 is in it because a container may see the boot id of another system.
set -euf
boot=${1:-/boot}
state=${STATE_DIRECTORY:-/var/lib/tidegate-shutdown}

rm -f "$boot/tidegate-replayed" # of contrib/initramfs-tools
if [ "$(stat -f -c %T "$boot")" = xfs ]; then
	trap '' INT TERM # between freezing and thawing
	fsfreeze -f "$boot" && fsfreeze -u "$boot"
else
	sync -f "$boot"
fi

[ "$(systemctl is-system-running)" = stopping ] || exit 0
read -r id </proc/sys/kernel/random/boot_id
read -r stat </proc/1/stat
set -- ${stat##*) } # from the third field of proc_pid_stat(5) on; the start is the 22nd
echo "$id ${20}" >"$state/.boot"
sync "$state/.boot"
mv "$state/.boot" "$state/boot"
sync "$state"
