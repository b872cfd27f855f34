#!/usr/bin/env bash
# The rules of the NBD protocol document, one by one over a raw socket, against our server with
# memory, with a LUN of tgtd and with nbdkit behind it.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3

conform() {	# WHAT: the gateway that was started last
	python3 "$srcdir/interop/nbd_conformance.py" -t 3 "${nbd_uri#nbd://}" >"$tmp/tap" ||
		{ grep -v '^ok' "$tmp/tap"; fail "the suite with $1 behind the server"; }
	echo "$1: $(grep -c '^ok' "$tmp/tap") rules hold or do not apply"
}

start_gateway --handshake-timeout=3 -n 127.0.0.1:0 mem:64M
conform memory
start_tgtd 64M
start_gateway --handshake-timeout=3 -n 127.0.0.1:0 "$tgt_uri"
conform "a LUN of tgtd"
start_nbdkit memory 64M
start_gateway --handshake-timeout=3 -n 127.0.0.1:0 "$peer_uri"
conform nbdkit
