#!/bin/sh
# Make ./configure from a fresh clone. --install-deps first installs what the
# build, the tests and the demo need, where apt-get is the package manager.
set -e
cd "$(dirname "$0")"

build="gcc make autoconf automake libtool pkg-config libnbd-dev nbdkit
	nbdkit-plugin-dev libev-dev libgnutls28-dev libisal-dev libsystemd-dev
	libcunit1-dev perl"
tests="python3 procps clang libclang-rt-14-dev musl-tools libnbd-bin tgt istgt libiscsi-bin
	qemu-utils qemu-block-extra fio nbd-server e2fsprogs xz-utils gnutls-bin valgrind
	qemu-system-x86 linux-image-amd64 busybox-static cpio kmod open-iscsi sg3-utils nbd-client dmsetup
	strace haproxy fuse3 linux-perf"

if [ "$1" = --install-deps ]; then
	if ! command -v apt-get >/dev/null; then
		echo "autogen.sh: no apt-get here. Install what your system calls:" >&2
		echo $build $tests >&2
		exit 1
	fi
	missing=
	for package in $build $tests; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok' ||
			missing="$missing $package"
	done
	if [ -n "$missing" ]; then
		root=
		[ "$(id -u)" = 0 ] || root=sudo
		$root apt-get update
		DEBIAN_FRONTEND=noninteractive $root apt-get install -y --no-install-recommends $missing
	fi
fi

exec autoreconf --install
