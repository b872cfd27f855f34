#!/bin/sh
# make demo: a disk image travels NBD -> gateway -> iSCSI -> gateway -> memory, and back.
#
# The script runs itself three times, each time one station further down the chain:
# --run starts a command with the URI of what is served, and ends with it, so
# nothing is left behind whatever happens.
set -e

build=${1:-.}
gateway=$build/gateway/nbd-iscsi-gateway
source=$(cd "$(dirname "$0")" && pwd)
demo=$source/$(basename "$0")
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }

# Station 3: a plain NBD client, with the whole chain behind $uri.
copy_and_compare() {
	say "    NBD        $uri"
	say ""
	say "nbdcopy writes the image through the chain:"
	nbdcopy -p --flush "$image" "$uri"
	say "nbdcopy reads it back:"
	nbdcopy -p "$uri" "$work/copy.img"
	cmp "$image" "$work/copy.img"
	say ""
	say "Byte for byte the same: $(stat -c %s "$image") bytes."
	e2fsck -fn "$work/copy.img" >"$work/fsck.log" 2>&1 || { cat "$work/fsck.log"; exit 1; }
	say "The file system in it is sound: $(tail -n 1 "$work/fsck.log")"
}

case ${station:=1} in
1)
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	image=$work/source.img
	size=64M
	truncate -s $size "$image"
	mkdir "$work/files"
	cp -R "$source/include" "$source/gateway" "$source/README" "$work/files"
	mke2fs -q -t ext4 -d "$work/files" "$image"
	say "A real disk image: ext4 of $size, with $(find "$work/files" -type f | wc -l) files of this source tree in it."
	say ""
	say "The chain:"
	say "    memory     mem:$size"
	export work image build station=2
	"$gateway" --iscsi=127.0.0.1:0 --run="'$demo' '$build'" mem:$size 2>"$work/1.log" ||
		{ cat "$work"/*.log >&2; exit 1; }
	say "Both gateways have stopped, and nothing is left behind."
	;;
2)
	say "    iSCSI      $iscsi_uri"
	export station=3
	exec "$gateway" --nbd=127.0.0.1:0 --run="'$demo' '$build'" "$iscsi_uri" 2>"$work/2.log"
	;;
3)
	copy_and_compare
	;;
esac
