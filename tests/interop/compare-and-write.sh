#!/usr/bin/env bash
# Counters incremented only by COMPARE AND WRITE, from eight sessions on two workers, end exact:
# over memory, an NBD server by several connections and by one, and one whose blocks are larger
# than ours.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdkit

count() {	# NAME OPTION... DEVICE
	local name=$1 counted
	shift
	start_gateway -T 2 -i 127.0.0.1:0 "$@"
	counted=$(python3 "$srcdir/interop/iscsi_counter.py" "$iscsi_uri" 8 "${INCREMENTS:-100}") ||
		fail "$name"
	echo "$name: $counted"
}

count memory mem:16M
count "memory, blocks of 4096 bytes" --block-size=4096 mem:16M
start_nbdkit memory 16M
count nbdkit "$peer_uri"
start_nbdkit --filter=multi-conn memory 16M multi-conn-mode=disable
count "nbdkit, one connection" "$peer_uri"
start_nbdkit --filter=blocksize-policy memory 16M blocksize-minimum=4096 blocksize-preferred=4096
count "nbdkit, 512-byte blocks in blocks of 4096" "$peer_uri"
