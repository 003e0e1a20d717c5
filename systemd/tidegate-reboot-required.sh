# Updates Tidegate's entry in /run/reboot-required, which Debian's tools read, from the agent's flag file.
#
# The flag is in a folder of the agent's user; only its existence is used, and never its content. Other programs use
# /run/reboot-required too (on Debian, kernel packages do), each with a line in .pkgs. It is therefore removed only after
# the last line, and only if this script has created it.
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
	grep -vxF "$line" "$packages" >"$packages.tidegate" || : # no line is left
	mv "$packages.tidegate" "$packages"
fi
if [ -e "$ours" ]; then
	[ -s "$packages" ] || rm -f "$required" "$packages"
	rm -f "$ours"
elif [ -e "$packages" ] && [ ! -s "$packages" ]; then
	rm -f "$packages"
fi
