#!/usr/bin/env bash
# The rules of the NBD protocol document, one by one over a raw socket, against our server with
# memory, with a LUN of tgtd and with nbdkit behind it: all hold. Then against nbdkit and qemu-nbd
# themselves, and the table of what differs: a rule that nobody keeps may be a wrong rule.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdkit qemu-nbd
suite=$srcdir/interop/nbd_conformance.py

against() {	# NAME OPTION... SERVER [EXPORT]: in the background
	local name=$1
	shift
	timeout 300 python3 "$suite" "$@" >"$tmp/$name.tap" 2>"$tmp/$name.log" &
	eval "pid_$name=$!"
}

ended() {	# NAME: wait for it; its status
	eval "wait \$pid_$1"
}

start_gateway -n 127.0.0.1:0 mem:64M
against ours "${nbd_uri#nbd://}"
# Apart, so that the rest has all the time that it takes here.
start_gateway --handshake-timeout=3 -n 127.0.0.1:0 mem:64M
against deadline -t 3 -k deadline "${nbd_uri#nbd://}"
start_tgtd 64M
start_gateway -n 127.0.0.1:0 "$tgt_uri"
against tgtd_behind "${nbd_uri#nbd://}"
start_nbdkit memory 64M
start_gateway -n 127.0.0.1:0 "$peer_uri"
against nbdkit_behind "${nbd_uri#nbd://}"
start_nbdkit memory 64M
against nbdkit "$peer_socket"
truncate -s 64M "$tmp/disk.img"
start_qemu_nbd -f raw --discard=unmap "$tmp/disk.img"
against qemu_nbd "$peer_socket"

for what in ours deadline tgtd_behind nbdkit_behind; do
	ended $what || { grep -v '^ok' "$tmp/$what.tap"; fail "the suite, run $what"; }
	echo "$what: $(tail -n 1 "$tmp/$what.tap")"
done
for what in nbdkit qemu_nbd; do
	ended $what || :
	# One that ran to its end is one that says how it went.
	tail -n 1 "$tmp/$what.tap" | grep passed || fail "the suite did not get through $what"
done
cd "$tmp"
python3 "$suite" -c ours.tap nbdkit.tap qemu_nbd.tap || fail "rules that nobody keeps: read them again"
