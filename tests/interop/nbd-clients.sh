#!/usr/bin/env bash
# What the usual clients make of the server, exactly: maps, benchmarks, sparse copies.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdinfo nbdcopy qemu-img qemu-io fio

start_gateway -n 127.0.0.1:0 mem:16M
qemu_io -f raw "$nbd_uri" -c 'write -P 1 1M 64k' -c 'write -P 2 3M 128k' -c 'discard 3M 64k' \
	-c 'write -z -u 1M 0' -c 'write -z 8M 64k' -c flush
nbdinfo --map "$nbd_uri" | awk '{ print $1, $2, $3 }' >"$tmp/map"
diff - "$tmp/map" <<-END || fail "nbdinfo --map"
	0 1048576 3
	1048576 65536 0
	1114112 2097152 3
	3211264 65536 0
	3276800 5111808 3
	8388608 65536 0
	8454144 8323072 3
END
nbdinfo --map=x-scsi:provisioning "$nbd_uri" | awk '{ print $3 }' | sort -u | tr '\n' ' ' >"$tmp/states"
[ "$(cat "$tmp/states")" = "0 1 " ] || fail "x-scsi:provisioning: $(cat "$tmp/states")"
nbdinfo --map --totals "$nbd_uri" >"$tmp/totals"
grep -q "^ *196608 .*data" "$tmp/totals" || fail "nbdinfo --map --totals: $(cat "$tmp/totals")"
qemu-img map --output=json -f raw "$nbd_uri" | grep -c '"data": true' | grep -qx 3 || fail "qemu-img map"

# Four connections, and only what is there is asked for.
nbdcopy --connections=4 --requests=64 "$nbd_uri" "$tmp/out.img"
[ "$(du -k "$tmp/out.img" | cut -f1)" -le 256 ] || fail "nbdcopy wrote the holes out"
qemu-img compare -f raw -F raw "$tmp/out.img" "$nbd_uri"

for pattern in "" "-w" "-w --flush-interval=64" "--pattern=7 -w -s 64k -S 128k"; do
	qemu-img bench -f raw -c 4000 -d 64 -s 4096 $pattern "$nbd_uri" >"$tmp/bench.log" ||
		{ cat "$tmp/bench.log"; fail "qemu-img bench $pattern"; }
	grep -q "Run completed" "$tmp/bench.log" || fail "qemu-img bench $pattern"
done

# nbdinfo asks for each export in the list, and over TCP that takes libnbd 0.2 s each.
start_gateway --handshake-timeout=2 -n 127.0.0.1:0 $(yes mem:1M | head -n 20)
[ "$(nbdinfo --list "$nbd_uri" | grep -c '^export=')" = 20 ] || fail "nbdinfo --list"
start_gateway -n 127.0.0.1:0 mem:16M

fio_verify "$nbd_uri" --rw=randwrite --bs=512-64k --iodepth=64 --size=16M
