#!/usr/bin/env bash
# A guest whose virtio disk is an NBD socket of ours: it keeps a filesystem on it, first through
# the daemon, then through the plugin. The daemon's clients are qemu and, in between, the NBD client
# of the guest's kernel.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
. "$srcdir/interop/guest.sh"
requires mke2fs e2fsck debugfs nbdcopy nbdkit
guest_modules virtio_blk virtio_net nbd ext4
guest_programs nbd-client

# What is left of the filesystem by the guest before is checked, more is written, and read again
# after another mount, when nothing of it is in the page cache any more.
round() {	# NUMBER NBD-URI [PORT of the same export]
	start_guest -drive "file=$2,format=raw,if=virtio,cache=none,discard=unmap" \
		-netdev user,id=lan -device virtio-net-pci,netdev=lan,romfile=
	in_guest <<-END
	mount -t ext4 -o discard /dev/vda /mnt
	cd /mnt
	[ ! -e sums ] || sha256sum -cs sums
	rm -f file.$(($1 - 1))
	dd if=/dev/urandom of=file.$1 bs=64k count=64 conv=fsync
	for i in \$(seq 50); do echo "\$i of round $1" >small.$1.\$i; done
	cp /bin/busybox copy
	sha256sum file.* small.* copy >sums
	fstrim /mnt
	cd /
	umount /mnt
	END
	[ -z "${3:-}" ] || work_of_nbd_client "$3"
	in_guest <<-END
	mount -t ext4 -o ro /dev/vda /mnt
	(cd /mnt && sha256sum -cs sums)
	umount /mnt
	END
	stop_guest
}

# Over two connections, whose writes and flushes are one.
work_of_nbd_client() {	# PORT
	in_guest <<-END
	ip addr add 10.0.2.15/24 dev eth0
	ip link set eth0 up
	dmesg -c >/tmp/boot
	nbd-client 10.0.2.2 $1 /dev/nbd0 -C 2 >/tmp/nbd-client
	[ "\$(cat /sys/block/nbd0/size /sys/block/nbd0/ro)" = "\$(printf '131072\\n0')" ]
	[ "\$(cat /sys/block/nbd0/queue/write_cache)" = "write back" ]
	[ \$(cat /sys/block/nbd0/queue/discard_max_bytes) -gt 0 ]
	mount -t ext4 -o discard /dev/nbd0 /mnt
	(cd /mnt && sha256sum -cs sums && cp copy nbd && mv nbd copy)
	fstrim /mnt
	umount /mnt
	nbd-client -d /dev/nbd0
	blockdev --flushbufs /dev/vda
	! dmesg | grep -iE 'nbd.*(error|timed|fail|dead)|I/O error' >&2 || exit 1
	END
}

start_tgtd 64M
truncate -s 64M "$tmp/ext4.img"
mke2fs -q -t ext4 -F "$tmp/ext4.img"

port=$(free_port)
start_gateway -n "unix:$tmp/gateway.sock" -n "127.0.0.1:$port" "$tgt_uri"
nbdcopy --flush "$tmp/ext4.img" "nbd+unix:///?socket=$tmp/gateway.sock"
round 1 "nbd+unix:///?socket=$tmp/gateway.sock" "$port"
end_process $gateway_pid

last=1
if [ -z "${SANITIZED:-}" ]; then	# nbdkit itself is not built with the sanitizer
	start_nbdkit "$plugin" "$tgt_uri"
	round 2 "$peer_uri"
	end_process $peer_pid
	last=2
fi

# And what the target then has is a filesystem, with what the guest says that it wrote.
e2fsck -fn "$tgt_file.1" >"$tmp/e2fsck.log" 2>&1 || { cat "$tmp/e2fsck.log"; fail "e2fsck"; }
for name in file.$last copy; do
	debugfs -R "cat $name" "$tgt_file.1" 2>/dev/null >"$tmp/$name"
	sum=$(sha256sum <"$tmp/$name")
	debugfs -R "cat sums" "$tgt_file.1" 2>/dev/null | grep -q "^${sum% -} *$name\$" ||
		fail "$name is not what the guest wrote"
done
