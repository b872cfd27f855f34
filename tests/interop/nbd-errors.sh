#!/usr/bin/env bash
# An NBD client of a LUN that fails is told what the unit said, and where; one of a LUN that turns out
# to be write protected, that it is, and so is whoever connects after him, to any worker.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdinfo

start_nbdkit --filter=error memory 64M error=EIO error-pread-rate=100% \
	error-file="$tmp/reads-fail"
start_gateway -i 127.0.0.1:0 "$peer_uri"
start_gateway -n 127.0.0.1:0 "$iscsi_uri"
touch "$tmp/reads-fail"
cat >"$tmp/client.py" <<'END'
import sys

from nbd_client import *

Settings.server, Settings.export = sys.argv[1], ""
for c in Client().want_structured().go(), Client().want_extended().go():
    reply = c.request(READ, 1234 * 512, 4096)
    print(reply.error, reply.text)
    check(reply.error == EIO and "MEDIUM ERROR 11/00" in reply.text, "that is what it says")
    check(reply.error_offset in (None, 1234 * 512), "it is at", reply.error_offset)
    check(not reply.parts, "data came with it")
    c.write(0, bytes(512))
c = Client().go()
check(c.request(READ, 0, 512).error == EIO, "a simple reply has another number")
c.write(0, bytes(512))
END
PYTHONPATH=$srcdir/interop timeout 60 python3 "$tmp/client.py" "${nbd_uri#nbd://}" || fail "an error's text"

# tgtd tells nobody that a unit has become read-only, but by refusing writes.
read_only() {
	for i in 1 2 3 4; do
		nbdinfo --is read-only "$uri" && status=0 || status=$?
		[ $status -eq "$1" ] || fail "connection $i: nbdinfo --is read-only says $status"
	done
}

start_tgtd 64M
start_gateway -T 2 -n "unix:$tmp/tgtd" "$tgt_uri"
uri="nbd+unix:///?socket=$tmp/tgtd"
read_only 2
tgtadm -C $tgt_number --mode logicalunit --op update --tid 1 --lun 1 --params readonly=1
cat >"$tmp/writer.py" <<'END'
import sys

from nbd_client import *

Settings.server, Settings.export = sys.argv[1], ""
Client().go().fails(EPERM, WRITE, 0, 512, 0, bytes(512))
END
PYTHONPATH=$srcdir/interop timeout 60 python3 "$tmp/writer.py" "$tmp/tgtd" || fail "a write was not refused"
read_only 0
