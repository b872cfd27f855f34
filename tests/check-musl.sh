#!/bin/sh
# Layers 1 and 2 are pure functions on memory: they and their tests build and pass with a
# strict compiler and another C library. Usage: check-musl.sh SRCDIR TEST...
set -eu
: "${MUSL_GCC:=musl-gcc}"
tests=$1
core=$tests/../gateway/core
shift

command -v "$MUSL_GCC" >/dev/null || { echo "musl-gcc is missing" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sources="bhs cdb cdb_table crc32c errmap field keys keys_value mode negotiation option_value port_group scsi_data sense utf8 vpd"
objects=
for source in $sources; do
	"$MUSL_GCC" -std=c11 -D_POSIX_C_SOURCE=200809L -pedantic -Wall -Wextra -Werror -O2 \
		-I"$tests/../include" -c "$core/$source.c" -o "$work/$source.o"
	objects="$objects $work/$source.o"
done
for test; do
	"$MUSL_GCC" -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -O2 -static \
		-I"$tests/musl" -I"$tests/unit" -I"$tests/../include" \
		"$tests/$test.c" "$tests/musl/cunit.c" $objects -o "$work/test"
	"$work/test" >"$work/log" || { cat "$work/log"; echo "$test fails with musl" >&2; exit 1; }
	echo "PASS with musl: $test"
done
