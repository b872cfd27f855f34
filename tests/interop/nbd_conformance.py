#!/usr/bin/env python3
"""Conformance of an NBD server to the protocol document, over a raw socket.

    nbd_conformance.py [OPTION...] SERVER [EXPORT]

SERVER is the path of a unix socket or HOST:PORT; without arguments both come from
the environment: NBD_SERVER and NBD_EXPORT. The export is overwritten; it needs 1 MiB
or more. One test per rule; each names the section of doc/proto.md that it checks
("EXT": of the extension-ext-header branch) and how binding it is:

    MUST, SHOULD   the document's words
    OURS           the document leaves it open; what this project promises

A test is skipped where the server does not offer what it is about, or the export is
not of the kind that it needs (read-only, larger, …). Output is TAP; exit status 1 if
a test failed.

@OPTIONS@
    -o NAME    another export of the server, smaller or larger: for rules that need two
    -t SECONDS the server's handshake deadline, to check that it keeps to it
    -T FILE    over TLS; the server's certificate is "localhost" by the CA in this file
"""
import os
import ssl
import sys

sys.dont_write_bytecode = True      # the source tree stays as it is

import conformance
from nbd_client import Settings
# Each of these registers its tests.
import nbd_rules_handshake
import nbd_rules_info
import nbd_rules_meta
import nbd_rules_requests
import nbd_rules_chunks
import nbd_rules_extended
import nbd_rules_tls
import nbd_rules_defence


def start(options, arguments):
    Settings.other = options.get("-o")
    if "-T" in options:
        Settings.tls = ssl.create_default_context(cafile=options["-T"])
    Settings.deadline = float(options["-t"]) if "-t" in options else None
    Settings.server = arguments[0] if arguments else os.environ.get("NBD_SERVER")
    Settings.export = arguments[1] if len(arguments) > 1 else os.environ.get("NBD_EXPORT", "")
    if not Settings.server:
        sys.exit("nbd_conformance.py: which server? Give SERVER, or set NBD_SERVER (-h: help)")


if __name__ == "__main__":
    sys.exit(conformance.main(__doc__, "o:t:T:", start))
