# shellcheck shell=bash
# scripts/lib.sh
#	  What the other scripts share.  Sourced, never run.
#
# Nothing here, and nothing built on it, touches the PostgreSQL installation or
# the clusters of the machine: the extension goes into a private copy of the
# installation, and that runs clusters of its own, in a scratch directory:
#
#	pg/		the private installation (the invoking user's)
#	run/	data directory, socket, logs (the unprivileged user's, closed to others)
#	tree/	what the tests read and write (the unprivileged user's)

set -euo pipefail

# In continuous integration there may be no standard input at all; the first
# file opened would be taken for it.
{ : <&0; } 2>/dev/null || exec </dev/null

# The unprivileged user reads what is made here; run/ is closed by its own mode.
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PG_CONFIG=${PG_CONFIG:-pg_config}
scratch=$(realpath -m "${SYNC_ENGINE_SCRATCH:-/tmp/sync_engine.$UID}")

# A make of ours must not take part in the job control of the make that
# started us, which does not know of it.
unset MAKEFLAGS MFLAGS MAKELEVEL

# Colours only for people.
# shellcheck disable=SC2034	# not every script uses each
if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
	bold='' dim='' red='' green='' plain=''
fi

heading() {
	printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

as_user() {
	"$top/scripts/as-user" "$@"
}

# make_scratch: the scratch directory.  Its name can be guessed, so a
# directory that somebody else put there is refused.
make_scratch() {
	mkdir -p "$scratch"
	[ -O "$scratch" ] || die "$scratch belongs to another user: set SYNC_ENGINE_SCRATCH"
	as_user true
	install -d -m 700 "$scratch/run"
	[ $UID != 0 ] || chown "$(as_user id -u):$(as_user id -g)" "$scratch/run"
}

# build GOAL...: the extension, in place.  Two builds in one tree take turns.
build() {
	flock "$top" make -C "$top" --no-print-directory -s -j"$(nproc)" with_llvm=no "$@"
}

# build_simulator: the API simulator, in place.
build_simulator() {
	flock "$top" make -C "$top/test/simulator" --no-print-directory -s pco_simulator
}

# install_test_module DIRECTORY: a module that tests alone need, into pg/; with the
# PG_CONFIG of the machine, for pg/ has no headers.
install_test_module() {
	flock "$top" make -C "$top/$1" --no-print-directory -s -j"$(nproc)" with_llvm=no install DESTDIR="$scratch/pg" >/dev/null
}

# private_install: copy the PostgreSQL installation that PG_CONFIG names to
# pg/ and install the extension there.  PostgreSQL finds its libraries and its
# extensions relative to its programs, so only these are real copies.
private_install() {
	local dir bin lib share entry
	bin=$("$PG_CONFIG" --bindir) lib=$("$PG_CONFIG" --pkglibdir) share=$("$PG_CONFIG" --sharedir)

	rm -rf "$scratch/pg"
	for dir in "$bin" "$lib" "$share/extension"; do
		mkdir -p "$scratch/pg$dir"
	done
	cp -L "$bin"/* "$scratch/pg$bin/"
	for entry in "$lib"/* "$share"/* "$share"/extension/*; do
		case ${entry##*/} in
			extension | sync_engine*) ;;
			*) ln -s "$entry" "$scratch/pg$entry" ;;
		esac
	done
	build install DESTDIR="$scratch/pg" >/dev/null
	use_private_install
}

# use_private_install: from here on PATH and PG_CONFIG mean the one in pg/.
use_private_install() {
	local bin
	bin=$scratch/pg$("$PG_CONFIG" --bindir)
	export PATH=$bin:$PATH PG_CONFIG=$bin/pg_config
}
