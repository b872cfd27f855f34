"""The frame of the conformance suites: the register of rules, the TAP runner, the comparison
of several runs, and the options that all suites have."""
import getopt
import os
import socket
import struct
import sys

TESTS = []                  # (name, level, section, function), in the order of definition

OPTIONS_HELP = """\
    -l         list the tests, and do not run any
    -c FILE... instead of a peer: the outputs of several runs, to see what differs; exit
               status 1 if a test failed in all of them
    -k TEXT    only tests whose name or section has TEXT in it
    -s         strict: a feature that is not offered is a failure
"""


class NotOffered(Exception):
    """The peer lacks the optional feature."""


class NotHere(Exception):
    """The peer, or the way we were called, does not allow this test."""


class Closed(Exception):
    """The peer has closed the connection."""


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def offered(condition, what):
    if not condition:
        raise NotOffered(what + " is not offered")


def test(level, section):
    """Register a rule; its sentence is the function's name."""
    def add(function):
        TESTS.append((function.__name__.replace("_", " "), level, section, function))
        return function
    return add


def resident(pid):
    """KiB of that process, exactly: /proc/PID/status is wrong by what each processor has not told."""
    with open("/proc/%s/smaps_rollup" % pid, encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def run(function, strict, after):
    """("ok" | "not ok" | "skip", why)"""
    try:
        try:
            function()
        finally:
            after()
        return "ok", ""
    except NotHere as e:
        return "skip", str(e)
    except NotOffered as e:
        return ("not ok" if strict else "skip"), str(e)
    except Closed as e:
        return "not ok", "the peer closed the connection (%s)" % e
    except AssertionError as e:
        return "not ok", str(e) or "it is not so"
    except (LookupError, OSError, struct.error, UnicodeDecodeError) as e:
        return "not ok", "%s: %s" % (type(e).__name__, e)


def run_all(tests, strict, after):
    counts = {"ok": 0, "not ok": 0, "skip": 0}
    print("1..%d" % len(tests))
    for number, (name, level, section, function) in enumerate(tests, 1):
        outcome, why = run(function, strict, after)
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


def main(text, letters, start, after=lambda: None):
    """The program: "text" is its help, "letters" its own getopt letters. start(options, arguments)
    makes ready, or exits; after() raises an AssertionError if a test has left a peer that is ill."""
    name = os.path.basename(sys.argv[0])
    try:
        options, arguments = getopt.getopt(sys.argv[1:], "lck:sh" + letters)
    except getopt.GetoptError as e:
        sys.exit("%s: %s" % (name, e))
    options = dict(options)
    if "-h" in options:
        print(text.replace("@OPTIONS@\n", OPTIONS_HELP))
        return 0
    if "-c" in options:
        return compare(arguments)
    if "-l" not in options:
        start(options, arguments)
    pattern = options.get("-k", "").lower()
    tests = [t for t in TESTS if pattern in (t[0] + " " + t[2]).lower()]
    if "-l" in options:
        for sentence, level, section, _ in tests:
            print("%-6s %-50s %s" % (level, section, sentence))
        return 0
    return run_all(tests, "-s" in options, after)


class Wire:
    """A connected socket: exactly n bytes, the end, or silence."""

    def __init__(self, s, seconds):
        self.s, self.seconds = s, seconds
        self.s.settimeout(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        try:
            self.s.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed("on sending") from e

    def recv(self, n):
        data = bytearray()
        while len(data) < n:
            try:
                more = self.s.recv(min(n - len(data), 1 << 20))
            except ConnectionResetError as e:
                raise Closed("reset") from e
            except socket.timeout:
                raise AssertionError("no answer (%d of %d bytes)" % (len(data), n)) from None
            if not more:
                raise Closed("after %d of %d bytes" % (len(data), n))
            data += more
        return bytes(data)

    def is_closed(self):
        """Wait for the end; nothing may come before it."""
        try:
            data = self.s.recv(1)
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False
        check(data == b"", "bytes instead of the end")
        return True

    def silent(self, seconds=0.2):
        """Nothing comes, and the connection stays, for so long."""
        self.s.settimeout(seconds)
        try:
            return self.s.recv(1) is None
        except socket.timeout:
            return True
        finally:
            self.s.settimeout(self.seconds)
