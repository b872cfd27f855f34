#!/usr/bin/env bash
# NBD clients to a LUN on istgt.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
start_istgt 64M
far_uri=$istgt_uri
. "$srcdir/interop/nbd-to-iscsi.sh"
