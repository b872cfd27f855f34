#!/bin/sh
# System calls per request must not become more than tests/bench/syscalls.txt says, nor the
# memory of what is idle more than a little.
# Never the time: that depends on what else the machine does.
. "$srcdir/functions.sh"

requires python3 strace qemu-img
# Slow enough to change who waits for whom, and so the counts.
[ -z "${SANITIZED:-}" ] || { echo "counts are those of an ordinary build"; exit 0; }

python3 "$srcdir/bench/bench.py" --build "$abs_top_builddir" --smoke
python3 "$srcdir/bench/growth.py" --build "$abs_top_builddir" --smoke
