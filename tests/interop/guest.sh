# Sourced by guest-*.sh: a guest that does what it is told over a serial line. The kernel is the
# host's, run by qemu without KVM.
#
#	guest_modules MODULE...		brings these into the guest, with what they need
#	guest_programs PROGRAM...	... and these, with their libraries; busybox is there
#	$guest_root			... and what is put here
#	start_guest QEMU-ARG...		boots; the guest listens when this returns, for $guest_seconds at most
#	in_guest SCRIPT			runs a script there (without argument: what is on stdin), until a
#					line of it fails; prints what it prints. guest-init.sh has functions.
#	stop_guest			powers it off, and waits until it is gone
#
# What the guest's programs complain about, and a trace of the scripts, is in $tmp/console.N.log.

requires qemu-system-x86_64 busybox cpio modprobe base64

guest_lacks() {
	echo "this test needs $*" >&2
	[ -z "${NO_SKIPS:-}" ] || exit 1
	exit 77
}

guest_kernel=$(find /boot -maxdepth 1 -name 'vmlinuz-*' -readable | sort -V | tail -n 1)
guest_version=${guest_kernel#/boot/vmlinuz-}
[ -n "$guest_kernel" ] && [ -d "/lib/modules/$guest_version" ] ||
	guest_lacks "a kernel: /boot/vmlinuz-VERSION and /lib/modules/VERSION"
! ldd "$(command -v busybox)" >/dev/null 2>&1 || guest_lacks "a static busybox"

guest_root=$tmp/root
guests=0
mkdir -p "$guest_root/bin"
cp "$(command -v busybox)" "$guest_root/bin/busybox"
cp "$srcdir/interop/guest-init.sh" "$guest_root/init"

# In the order in which they need each other.
guest_modules() {
	local module path name
	set -- virtio_pci "$@"
	for module; do
		modprobe --show-depends -S "$guest_version" "$module" || guest_lacks "the module $module"
	done >"$tmp/modules"
	sed -n 's/^insmod \([^ ]*\).*/\1/p' "$tmp/modules" | awk '!seen[$0]++' | while read -r path; do
		name=$(basename "$path" | sed 's/\.ko.*/.ko/')
		case $path in
		*.xz) xz -dc "$path" ;;
		*.zst) zstd -dc "$path" ;;
		*) cat "$path" ;;
		esac >"$guest_root/$name"
		echo "/$name" >>"$guest_root/modules"
	done
}

guest_programs() {
	local path library
	requires "$@"
	for path in $(command -v "$@"); do
		cp -L "$path" "$guest_root/bin/"
		ldd "$path" | sed -n 's/.*=> \([^ ]*\) .*/\1/p; s/^\s*\(\/[^ ]*\) .*/\1/p'
	done | sort -u | while read -r library; do
		mkdir -p "$guest_root${library%/*}"
		cp -L "$library" "$guest_root$library"
	done
}

start_guest() {
	local control
	guests=$((guests + 1))
	control=$tmp/control.$guests
	mkfifo "$control.in" "$control.out"
	exec {guest_in}<>"$control.in" {guest_out}<>"$control.out"
	[ -e "$tmp/initramfs" ] ||
		(cd "$guest_root" && find . | cpio -o -H newc --quiet) >"$tmp/initramfs"
	timeout "${guest_seconds:-900}" qemu-system-x86_64 -M q35 -accel tcg -m 256 -nodefaults \
		-display none -no-reboot \
		-kernel "$guest_kernel" -initrd "$tmp/initramfs" -append "console=ttyS0 quiet panic=-1" \
		-serial "file:$tmp/console.$guests.log" \
		-chardev "pipe,id=control,path=$control" -serial chardev:control "$@" \
		2>"$tmp/qemu.$guests.log" &
	guest_pid=$!
	cleanup_fn end_process $guest_pid
	guest_answer
}

in_guest() {
	local script=${1-$(cat)}
	base64 -w 0 <<<"$script" >&$guest_in
	echo >&$guest_in
	guest_answer || fail "in the guest, status $?: $script"
}

# What it prints, up to "\n=STATUS\n".
guest_answer() {
	local line= part between=
	while :; do
		if ! IFS= read -r -t 1 -u $guest_out part; then
			line=$line$part
			kill -0 $guest_pid 2>/dev/null || fail "the guest has gone"
			continue
		fi
		line=$line$part
		case $line in
		=*) return "${line#=}" ;;
		esac
		printf %s "$between$line"
		between=$'\n' line=
	done
}

stop_guest() {
	echo >&$guest_in
	wait $guest_pid || fail "qemu: status $?"
	exec {guest_in}>&- {guest_out}>&-
}
