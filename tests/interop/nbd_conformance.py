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

    -l         list the tests, and do not run any
    -c FILE... instead of a SERVER: the outputs of several runs, to see what differs; exit
               status 1 if a test failed in all of them
    -k TEXT    only tests whose name or section has TEXT in it
    -s         strict: a feature that is not offered is a failure
    -o NAME    another export of the server, smaller or larger: for rules that need two
    -t SECONDS the server's handshake deadline, to check that it keeps to it
    -T FILE    over TLS; the server's certificate is "localhost" by the CA in this file
"""
import getopt
import os
import ssl
import struct
import sys

sys.dont_write_bytecode = True      # the source tree stays as it is

from nbd_client import Closed, NotHere, NotOffered, Settings
from nbd_rules import TESTS
# Each of these registers its tests.
import nbd_rules_handshake
import nbd_rules_info
import nbd_rules_meta
import nbd_rules_requests
import nbd_rules_chunks
import nbd_rules_extended
import nbd_rules_tls
import nbd_rules_defence


def run(function):
    """("ok" | "not ok" | "skip", why)"""
    try:
        function()
        return "ok", ""
    except NotHere as e:
        return "skip", str(e)
    except NotOffered as e:
        return ("not ok" if Settings.strict else "skip"), str(e)
    except Closed as e:
        return "not ok", "the server closed the connection (%s)" % e
    except AssertionError as e:
        return "not ok", str(e) or "it is not so"
    except (OSError, struct.error, UnicodeDecodeError) as e:
        return "not ok", "%s: %s" % (type(e).__name__, e)


def run_all(tests):
    counts = {"ok": 0, "not ok": 0, "skip": 0}
    print("1..%d" % len(tests))
    for number, (name, level, section, function) in enumerate(tests, 1):
        outcome, why = run(function)
        counts[outcome] += 1
        line = "%s %d - %s [%s, %s]" % ("not ok" if outcome == "not ok" else "ok", number, name,
                                         level, section)
        print(line + (" # SKIP " + why if outcome == "skip" else ""))
        if outcome == "not ok":
            print("#   " + why)
        sys.stdout.flush()
    print("# %d passed, %d failed, %d skipped" % (counts["ok"], counts["not ok"], counts["skip"]))
    return 1 if counts["not ok"] else 0


def outcomes(path):
    """{test: outcome} of one run's output."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            head, _, rest = line.rstrip().partition(" - ")
            if rest and head.split()[-1].isdigit():
                name, _, skipped = rest.partition(" # SKIP ")
                found[name] = "skip" if skipped else "FAIL" if head.startswith("not") else "ok"
    return found


def compare(paths):
    """The tests that did not end alike in all these runs, as a table."""
    runs = [outcomes(path) for path in paths]
    labels = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    names = [n for n in runs[0] if len({run.get(n, "-") for run in runs}) > 1]
    width = max([len(n) for n in names] + [len("rule")])
    for name, row in [("rule", labels)] + [(n, [run.get(n, "-") for run in runs]) for n in names]:
        print(" | ".join(["%-*s" % (width, name)] + ["%-8s" % outcome for outcome in row]))
    failed = [name for name in runs[0] if all(run.get(name) == "FAIL" for run in runs)]
    print("# %d differ, %d failed everywhere" % (len(names), len(failed)), *failed, sep="\n#   ")
    return 1 if failed else 0


def main():
    try:
        options, arguments = getopt.getopt(sys.argv[1:], "lck:so:t:T:h")
    except getopt.GetoptError as e:
        sys.exit("nbd_conformance.py: %s" % e)
    wanted = dict(options)
    if "-h" in wanted:
        print(__doc__)
        return 0
    if "-c" in wanted:
        return compare(arguments)
    Settings.pattern = wanted.get("-k", "").lower()
    Settings.strict = "-s" in wanted
    Settings.other = wanted.get("-o")
    if "-T" in wanted:
        Settings.tls = ssl.create_default_context(cafile=wanted["-T"])
    Settings.deadline = float(wanted["-t"]) if "-t" in wanted else None
    tests = [t for t in TESTS if Settings.pattern in (t[0] + " " + t[2]).lower()]
    if "-l" in wanted:
        for name, level, section, _ in tests:
            print("%-6s %-50s %s" % (level, section, name))
        return 0
    Settings.server = arguments[0] if arguments else os.environ.get("NBD_SERVER")
    Settings.export = arguments[1] if len(arguments) > 1 else os.environ.get("NBD_EXPORT", "")
    if not Settings.server:
        sys.exit("nbd_conformance.py: which server? Give SERVER, or set NBD_SERVER (-h: help)")
    return run_all(tests)


if __name__ == "__main__":
    sys.exit(main())
