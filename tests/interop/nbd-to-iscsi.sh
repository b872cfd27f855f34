# NBD clients through the gateway to a LUN of $far_uri, and the same LUN seen directly
# over libiscsi. Sourced by the test of each far target, which has started it.
requires nbdcopy nbdinfo qemu-img qemu-io fio
size=64M
bytes=67108864

start_gateway -n 127.0.0.1:0 -n "unix:$tmp/gateway.sock" "$far_uri"

[ "$(nbdinfo --size "$nbd_uri")" = $bytes ] || fail "nbdinfo sees another size"
nbdinfo "nbd+unix:///?socket=$tmp/gateway.sock" | grep -q 'export=' || fail "no default export"
nbdinfo --map "$nbd_uri" >/dev/null

# Written through the gateway, read directly; 4 connections.
random_image "$tmp/in.img" $size
nbdcopy --flush --connections=4 "$tmp/in.img" "$nbd_uri"
qemu-img compare -f raw -F raw "$tmp/in.img" "$far_uri"
qemu-img compare -f raw -F raw "$tmp/in.img" "$nbd_uri"

# And the reverse.
head -c $bytes /dev/urandom >"$tmp/back.img"
qemu-img convert -n -f raw -O raw "$tmp/back.img" "$far_uri"
nbdcopy "$nbd_uri" "$tmp/out.img"
cmp "$tmp/back.img" "$tmp/out.img"

requests_of_every_kind "$nbd_uri"
qemu_io -f raw "$far_uri" -c 'read -P 0x5a 1M 64k' -c 'read -P 0 2M 1M'

fio_verify "$nbd_uri" --rw=randrw --bs=4k-64k --iodepth=16 --io_size=24M --size=$size

"$nbd_model" -c 4 -d 32 -n "${OPERATIONS:-6000}" -o "$tmp/model.img" "$nbd_uri"
