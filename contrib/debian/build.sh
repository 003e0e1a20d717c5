#!/bin/sh
# Builds the Debian packages tidegate-common, tidegate and tidegate-coordinator from this checkout, on Debian 12 or newer.
# Needs a mirror of Debian and one of Python's package index, as apt and pip are configured; nothing else.
#
#   sh contrib/debian/build.sh [OUTDIR]     the packages go to OUTDIR, the current folder unless given
#
# The same checkout gives the same packages, byte by byte, on the same version of Debian.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:-.}
. "$checkout/contrib/setup.sh"

need_packages debhelper dpkg-dev python3 python3-venv ca-certificates
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A copy, so that the checkout may be read-only and stays clean; only what the packages are made of.
source=$work/tidegate
mkdir -p "$source/contrib" "$out"
for part in agent config.d systemd contrib/man contrib/completions LICENSE README.md CHANGELOG.md; do
	cp -R "$checkout/$part" "$source/$part"
done
cp -R "$checkout/contrib/debian" "$source/debian"
find "$source" -name __pycache__ -prune -exec rm -rf {} +
# Whatever the checkout's owner lets others do: what is packaged is for everybody to read.
chmod -R u+rwX,go+rX,go-w "$source"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$checkout/pyproject.toml")
[ "$version" = "$(dpkg-parsechangelog -l "$source/debian/changelog" -S Version)" ] || {
	echo "contrib/debian/changelog is not about $version, the version of pyproject.toml: add an entry" >&2
	exit 1
}

echo "fetching the libraries" >&2
# The pip that Debian keeps for virtual environments (a dependency of python3-venv); none has to be made for it.
pip=$(echo /usr/share/python-wheels/pip-*.whl)/pip
for set in agent coordinator; do
	/usr/bin/python3 "$pip" install --quiet --disable-pip-version-check --root-user-action=ignore --no-cache-dir \
		--ignore-installed --no-compile --require-hashes --only-binary=:all: --no-deps \
		--target "$source/vendor/$set" --requirement "$source/debian/vendored/$set.txt"
done

echo "building tidegate $version" >&2
cd "$source"
umask 022
dpkg-buildpackage --build=binary --no-sign --no-check-builddeps >"$work/log" 2>&1 || {
	tail -n 30 "$work/log" >&2
	exit 1
}
cd - >/dev/null
cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out"
for package in "$work"/*.deb; do
	echo "$out/${package##*/}"
done
