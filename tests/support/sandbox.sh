#!/usr/bin/env bash
# Run a command as a service of deploy/systemd/ runs: as an unprivileged user, with no capability, where nothing but
# its own folders can be written and no home is seen. Only root can set that up:
#
#   unshare --mount bash tests/support/sandbox.sh PYTHON FOLDER... -- COMMAND [ARGUMENT...]
#
# PYTHON is where the interpreter is installed: it stays, also in a home. What the kernel forbids beside that (system
# calls, addresses) is not in it.
set -euo pipefail

mount --make-rprivate /
python=$1 kept=$(mktemp -d)
mount --bind "$python" "$kept"
for home in /root /home; do mount -t tmpfs -o mode=755 none "$home"; done
[ -d "$python" ] || mkdir -p "$python"
mount --bind "$kept" "$python"
umount "$kept" && rmdir "$kept"
shift

own=
while [ "$1" != -- ]; do
	chown -R nobody: "$1"
	mount --bind "$1" "$1"
	own="$own $1"
	shift
done
shift
while read -r _ place _; do
	case " $own " in *" $place "*) continue ;; esac
	case "$place" in /proc|/proc/*|/sys|/sys/*|/dev|/dev/*) continue ;; esac
	mount -o remount,bind,ro "$place"
done </proc/self/mounts
exec setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
