#!/usr/bin/env bash
# NBD clients to a LUN on tgtd.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
start_tgtd 64M
far_uri=$tgt_uri
. "$srcdir/interop/nbd-to-iscsi.sh"
