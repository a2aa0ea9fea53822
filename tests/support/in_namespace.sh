#!/usr/bin/env bash
# Run a command in a network namespace of its own, which has nothing but loopback:
#
#   bash tests/support/in_namespace.sh [--if-permitted] COMMAND [ARGUMENT...]
#
# Root makes one directly, others through a user namespace. It has no name, so none is left behind: the kernel
# ends it with the last process in it. Every step here replaces the one before it, so the command has our process
# id, and signals and the exit status are its own. It finds the namespace's identity in CASGAN_TEST_NETNS.
#
# Exit status 125: no namespace is permitted here; 127: a program is missing. With --if-permitted the command
# then runs outside instead, and what needs a namespace has to skip.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

outside=no
if [ "${1:-}" = --if-permitted ]; then outside=yes; shift; fi
if [ $# = 0 ]; then echo "usage: bash tests/support/in_namespace.sh [--if-permitted] COMMAND [ARGUMENT...]" >&2; exit 2; fi

without() { # STATUS REASON COMMAND...
	echo "no network namespace: $2" >&2
	if [ "$outside" = no ]; then exit "$1"; fi
	unset CASGAN_TEST_NETNS
	exec "${@:3}"
}

for program in unshare:util-linux ip:iproute2; do
	if ! command -v "${program%:*}" >/dev/null; then
		without 127 "${program%:*} is not installed; it comes with ${program#*:}" "$@"
	fi
done

for how in --net '--net --map-root-user'; do
	if why=$(unshare $how ip link set lo up 2>&1); then
		exec unshare $how bash -euc '
			ip link set lo up
			CASGAN_TEST_NETNS=$(readlink /proc/self/ns/net)
			export CASGAN_TEST_NETNS
			exec "$@"' in_namespace "$@"
	fi
done
without 125 "${why##*$'\n'}" "$@"
