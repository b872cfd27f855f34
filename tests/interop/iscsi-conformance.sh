#!/usr/bin/env bash
# RFC 7143, SPC-4 and SBC-3, rule by rule over a raw socket, against our target with memory and
# with a file behind it; and against tgtd, to see what it makes of them.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 tgtd tgtadm
suite=$srcdir/interop/iscsi_conformance.py

conform() {	# NAME OPTION...: the gateway that was started last
	local name=$1
	shift
	python3 "$suite" -p "$gateway_pid" "$@" "$iscsi_uri" >"$tmp/$name" ||
		{ grep -v '^ok' "$tmp/$name"; fail "the suite with $name behind the target"; }
	echo "$name: $(tail -n 1 "$tmp/$name")"
}

start_gateway -T 2 -i 127.0.0.1:0 mem:64M
conform ours -t 15
truncate -s 64M "$tmp/disk"
start_gateway -T 2 -i 127.0.0.1:0 "file:$tmp/disk"
conform file
start_gateway -T 2 -i 127.0.0.1:0 --read-only "file:$tmp/disk"
conform read-only
if [ -n "${SOAK:-}" ]; then
	start_nbdkit --filter=blocksize-policy memory 64M blocksize-minimum=4096 blocksize-preferred=4096
	start_gateway -T 2 -i 127.0.0.1:0 "$peer_uri"
	conform large-blocks
	start_gateway -T 2 -i 127.0.0.1:0 --block-size=4096 "$peer_uri"
	conform blocks-of-4096
	# Neither flush nor trim.
	start_nbdkit eval get_size='echo 67108864' \
		pread="dd if=$tmp/disk skip=\$4 count=\$3 iflag=count_bytes,skip_bytes status=none" \
		pwrite="dd of=$tmp/disk seek=\$4 conv=notrunc oflag=seek_bytes status=none"
	start_gateway -T 2 -i 127.0.0.1:0 "$peer_uri"
	conform bare
fi

# CHAP needs a target that asks for it.
printf 'what only alice sees' >"$tmp/secret"
chmod 600 "$tmp/secret"
cat >"$tmp/chap.conf" <<-END
	device disk { uri = "mem:16M" }
	auth-group alice { chap { user = "alice"; secret-file = "$tmp/secret" } }
	portal-group here { listen = "127.0.0.1:0" }
	target "iqn.2026-11.test:chap" { auth-group = alice; portal-group = here; lun 0 { device = disk } }
END
start_gateway -c "$tmp/chap.conf"
conform chap -u alice -f "$tmp/secret"

# The suite is more than tgtd takes: as often as it crashes, start it again.
keep_tgtd() {
	while :; do
		while kill -0 "$tgt_pid" 2>/dev/null; do sleep 0.05; done
		echo >>"$tmp/crashes"
		run_tgtd || :
		echo "$tgt_pid" >"$tmp/tgtd.pid"
	done
}

start_tgtd 64M
: >"$tmp/crashes"
keep_tgtd 2>/dev/null &
keeper=$!
cleanup_fn "kill -9 \$(cat $tmp/tgtd.pid) 2>/dev/null"
cleanup_fn "kill -9 $keeper"
python3 "$suite" -w 1 "$tgt_uri" >"$tmp/tgtd" || :
echo "tgtd: $(tail -n 1 "$tmp/tgtd"); $(wc -l <"$tmp/crashes") crashes"
python3 "$suite" -c "$tmp/ours" "$tmp/file" "$tmp/tgtd"
