"""Rules for read-only exports, and how the server defends itself."""
import random
import struct

from nbd_rules import *


# Read-only exports, and how the server defends itself -----------------------------------------

def read_only(infos=()):
    c = structured(infos)
    if not c.flags & F_READ_ONLY:
        raise NotHere("the export is writable")
    return c


@test("SHOULD", "Error values")
def a_write_to_a_read_only_export_is_EPERM():
    with read_only() as c:
        c.fails(EPERM, WRITE, 0, 4096, data=noise(4096))


@test("SHOULD", "Error values")
def a_trim_of_a_read_only_export_is_EPERM():
    with read_only() as c:
        c.fails(EPERM, TRIM, 0, 4096)


@test("SHOULD", "WRITE_ZEROES")
def zeroes_to_a_read_only_export_are_EPERM():
    with read_only() as c:
        c.fails(EPERM, ZEROES, 0, 4096)


@test("OURS", "Transmission flags")
def a_read_only_export_can_be_flushed_and_cached():
    with read_only() as c:
        check(c.request(FLUSH).error == 0 and c.request(CACHE, 0, 4096).error == 0)


@test("OURS", "Termination of the session during option haggling")
def options_without_end_are_cut_off():
    with Client() as c:
        try:
            for _ in range(20000):
                c.send_option(99)
                c.option_reply(99)
        except Closed:
            return
    raise NotOffered("a bound on options")


@test("OURS", "Termination of the session during option haggling")
def option_data_of_4_GiB_are_not_waited_for():
    with Client() as c:
        c.send_option(99, length=0xffffffff)
        check(c.is_closed())


@test("OURS", "Termination of the session during option haggling")
def a_silent_client_is_dropped_at_the_deadline():
    if Settings.deadline is None:
        raise NotHere("no deadline given (-t)")
    with Client(greet=False) as c:
        c.recv(18)
        c.s.settimeout(Settings.deadline + ANSWER_SECONDS)
        check(c.is_closed())


@test("OURS", "Termination of the session during option haggling")
def the_deadline_ends_with_the_handshake():
    if Settings.deadline is None:
        raise NotHere("no deadline given (-t)")
    with simple() as c:
        check(c.silent(Settings.deadline + 1))
        c.lives()


@test("OURS", "Transmission")
def garbage_leaves_the_server_healthy():
    chance = random.Random(3)
    for _ in range(100):
        with Client(greet=False) as c:
            try:
                head = struct.pack(">I", 3) if chance.random() < 0.7 else b""
                if chance.random() < 0.5:
                    head += struct.pack(">QII", IHAVEOPT, chance.randrange(12),
                                        chance.randrange(64))
                c.send(head + chance.randbytes(chance.randrange(300)))
            except Closed:
                pass
    with simple() as c:
        c.lives()
