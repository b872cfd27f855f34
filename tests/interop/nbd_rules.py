"""What the tests of nbd_conformance.py have in common: ways to begin."""
import random
import struct

from nbd_client import *    # the protocol's names


def simple(infos=()):
    return Client().go(infos)


def structured(infos=()):
    return Client().want_structured().go(infos)


def extended(infos=()):
    return Client().want_extended().go(infos)


def with_status(infos=()):
    return Client().want_structured().want_allocation().go(infos)


def ext_with_status(infos=()):
    return Client().want_extended().want_allocation().go(infos)


def noise(n, seed=1):
    return random.Random(seed).randbytes(n)


def malformed(option, data, answers=(INVALID,)):
    with Client() as c:
        if option == SET_META:
            c.want_structured()
        kind, _, _ = c.option(option, data)
        offered(kind != UNSUP, "option %d" % option)
        check(kind in answers, "type %#x" % kind)
        c.in_step()


def unknown_export():
    """A name that the server has no export for; some servers take any."""
    name = "no such export"
    with Client() as c:
        offered(c.option(INFO, info_data(name=name))[0] != ACK, "a closed set of exports")
    return name


def list_meta(*queries, first=None, export=None):
    with Client() as c:
        if first:
            c.negotiate(first)
        kind, _, replies = c.option(LIST_META, meta_data(queries, export))
        offered(kind != UNSUP, "LIST_META_CONTEXT")
        c.in_step()
        return kind, contexts_of(replies)


def no_status(c):
    c.fails(EINVAL, STATUS, 0, 4096)


def patchwork(c):
    """Data, zeroes, data and unaligned zeroes within 256 KiB."""
    want = bytearray(noise(256 * KIB, 6))
    for offset, n in ((64 * KIB, 64 * KIB), (200 * KIB + 77, 9000)):
        want[offset:offset + n] = bytes(n)
    c.writable().write(0, bytes(want))
    return bytes(want)


def allocation(c, reply):
    check(reply.error == 0, "error", reply.error, reply.text)
    return reply.status[c.contexts["base:allocation"]]
