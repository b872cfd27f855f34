#!/bin/busybox sh
# Process 1 of the guest of guest.sh. What is left of the filesystem by the guest before is
# checked, more is written, and read again after another mount. The kernel hands us name=value
# of its command line that it does not know as variables: $round.
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /mnt
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

work() {
	set -e
	# Some only make use of what a processor may have (crc32c-intel): the mount below tells.
	for module in $(cat /modules); do insmod "$module" || :; done
	mount -t ext4 -o discard /dev/vda /mnt
	cd /mnt
	[ ! -e sums ] || sha256sum -c sums
	rm -f "file.$((round - 1))"
	dd if=/dev/urandom of="file.$round" bs=64k count=64 conv=fsync
	for i in $(seq 50); do echo "$i of round $round" >"small.$round.$i"; done
	cp /bin/busybox copy
	sha256sum file.* small.* copy >sums
	fstrim /mnt
	cd /
	umount /mnt
	# Nothing of it is in the page cache any more.
	mount -t ext4 -o ro /dev/vda /mnt
	(cd /mnt && sha256sum -c sums)
	umount /mnt
	echo "guest: round $round is done"
}

(work)
poweroff -f
