#!/bin/sh
# Makes a certificate authority and the certificates of a trial or a small site, each valid for a year. Existing files are
# kept. A site with its own certificate authority uses that instead, with the names below.
#
#   sh certificates.sh FOLDER [NAME...]     NAME: a DNS name or IP address under which clients connect to coordinators
#
# It writes into FOLDER: ca.crt and ca.key; etcd.crt and etcd.key, for etcd members towards each other and clients;
# client.crt and client.key, for coordinators towards etcd; coordinator.crt and coordinator.key, towards hosts.
set -eu
folder=$1
shift
umask 077
mkdir -p "$folder"
cd "$folder"

# names NAME...: in the form of the extension subjectAltName.
names() {
	separator=
	for name; do
		case $name in
		*[!0-9.]*) printf '%sDNS:%s' "$separator" "$name" ;;
		*) printf '%sIP:%s' "$separator" "$name" ;;
		esac
		separator=,
	done
}

# certificate FILE SUBJECT USAGE NAMES
certificate() {
	[ ! -e "$1.crt" ] || return 0
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
	{
		echo "basicConstraints=critical,CA:FALSE"
		echo "keyUsage=critical,digitalSignature"
		echo "extendedKeyUsage=$3"
		[ -z "$4" ] || echo "subjectAltName=$4"
	} >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -sha256 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
	rm -f "$1.csr" "$1.ext"
}

[ -e ca.crt ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt \
	-days 3650 -sha256 -subj "/O=Tidegate trial/CN=authority" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null

members="etcd-0 etcd-1 etcd-2"
inside=$(for one in $members; do echo "$one.etcd $one.etcd.tidegate.svc"; done)
# shellcheck disable=SC2086 - these are lists of words
certificate etcd "/O=Tidegate trial/CN=etcd" serverAuth,clientAuth "$(names localhost 127.0.0.1 $members $inside)"
# Without a common name: with authentication enabled, etcd's gateway refuses a certificate that has one.
certificate client "/O=Tidegate trial" clientAuth ""
certificate coordinator "/O=Tidegate trial/CN=coordinator" serverAuth "$(names localhost 127.0.0.1 "$@")"
