#!/bin/sh
# Builds the Debian packages tidegate-common, tidegate and tidegate-coordinator from this checkout, on Debian 12 or newer.
# Needs a Debian mirror and a Python package index, as configured for apt and pip.
#
#   sh contrib/debian/build.sh [OUTDIR]     writes the packages to OUTDIR, by default the current folder
#
# Builds are reproducible: the same checkout gives the same bytes on the same version of Debian.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:-.}
. "$checkout/contrib/setup.sh"

need_packages debhelper dpkg-dev python3 python3-venv ca-certificates
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A copy of the sources, so that the checkout may be read-only and stays clean.
source=$work/tidegate
mkdir -p "$source/contrib" "$out"
for part in agent config.d systemd contrib/man contrib/completions contrib/coordinator contrib/monitoring \
	contrib/schema LICENSE README.md CHANGELOG.md; do
	cp -R "$checkout/$part" "$source/$part"
done
cp -R "$checkout/contrib/debian" "$source/debian"
find "$source" -name __pycache__ -prune -exec rm -rf {} +
# Packaged files are world-readable, regardless of the permissions of the checkout.
chmod -R u+rwX,go+rX,go-w "$source"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$checkout/pyproject.toml")
[ "$version" = "$(dpkg-parsechangelog -l "$source/debian/changelog" -S Version)" ] || {
	echo "contrib/debian/changelog has no entry for $version, the version in pyproject.toml: add one" >&2
	exit 1
}

echo "fetching the libraries" >&2
# The pip that Debian ships for virtual environments (a dependency of python3-venv), run without one.
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
