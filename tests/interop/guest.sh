#!/usr/bin/env bash
# A guest whose virtio disk is an NBD socket of ours: it keeps a filesystem on it, first through
# the daemon, then through the plugin. The kernel is the host's, run by qemu without KVM.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires qemu-system-x86_64 busybox cpio modprobe mke2fs e2fsck debugfs nbdcopy nbdkit gzip

kernel=$(find /boot -maxdepth 1 -name 'vmlinuz-*' -readable | sort -V | tail -n 1)
version=${kernel#/boot/vmlinuz-}
[ -n "$kernel" ] && [ -d "/lib/modules/$version" ] || {
	echo "this test needs a kernel: /boot/vmlinuz-VERSION and /lib/modules/VERSION"
	[ -z "${NO_SKIPS:-}" ] || exit 1
	exit 77
}

# busybox, the modules in the order in which they need each other, and the guest's init.
root=$tmp/root
mkdir -p "$root/bin"
cp "$(command -v busybox)" "$root/bin/busybox"
! ldd "$root/bin/busybox" >/dev/null 2>&1 || { echo "this test needs a static busybox"; exit 77; }
cp "$srcdir/interop/guest-init.sh" "$root/init"
for module in virtio_pci virtio_blk ext4; do
	modprobe --show-depends -S "$version" $module
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r path; do
	name=$(basename "$path" | sed 's/\.ko.*/.ko/')
	case $path in
	*.xz) xz -dc "$path" ;;
	*.zst) zstd -dc "$path" ;;
	*) cat "$path" ;;
	esac >"$root/$name"
	echo "/$name" >>"$root/modules"
done
touch "$root/modules"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$tmp/initramfs"

boot() {	# ROUND NBD-URI
	local console=$tmp/console.$1.log
	timeout 100 qemu-system-x86_64 -accel tcg -m 256 -nodefaults -display none -no-reboot \
		-serial "file:$console" -kernel "$kernel" -initrd "$tmp/initramfs" \
		-append "console=ttyS0 quiet panic=-1 round=$1" \
		-drive "file=$2,format=raw,if=virtio,cache=none,discard=unmap" ||
		fail "qemu"
	grep -q "guest: round $1 is done" "$console" || { cat "$console"; fail "round $1"; }
}

start_tgtd 64M
truncate -s 64M "$tmp/ext4.img"
mke2fs -q -t ext4 -F "$tmp/ext4.img"

start_gateway -n "unix:$tmp/gateway.sock" "$tgt_uri"
nbdcopy --flush "$tmp/ext4.img" "nbd+unix:///?socket=$tmp/gateway.sock"
boot 1 "nbd+unix:///?socket=$tmp/gateway.sock"
end_process $gateway_pid

last=1
if [ -z "${SANITIZED:-}" ]; then	# nbdkit itself is not built with the sanitizer
	start_nbdkit "$plugin" "$tgt_uri"
	boot 2 "$peer_uri"
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
