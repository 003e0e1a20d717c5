# Keeps Tidegate's part of /run/reboot-required, as Debian's tools know it, in step with the agent's flag.
#
# The agent's user writes a folder of its own only, and nothing of what is in there is read: that a file of this name is
# there, or is not, is all that comes from it. Others use /run/reboot-required as well (kernel packages do, on Debian);
# each has a line in .pkgs. So the file goes with the last line, and only where it was made here.
set -euf
run=${1:-/run}
flag=$run/tidegate/public/reboot-required
ours=$run/tidegate/reboot-required.ours
required=$run/reboot-required
packages=$run/reboot-required.pkgs
line=tidegate

if [ -e "$flag" ]; then
	if [ ! -e "$required" ]; then
		: >"$ours"
		echo '*** System restart required ***' >"$required"
	fi
	grep -qsxF "$line" "$packages" || echo "$line" >>"$packages"
	exit
fi

if grep -qsxF "$line" "$packages"; then
	grep -vxF "$line" "$packages" >"$packages.tidegate" || : # nothing is left
	mv "$packages.tidegate" "$packages"
fi
if [ -e "$ours" ]; then
	[ -s "$packages" ] || rm -f "$required" "$packages"
	rm -f "$ours"
elif [ -e "$packages" ] && [ ! -s "$packages" ]; then
	rm -f "$packages"
fi
