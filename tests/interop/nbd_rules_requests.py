"""Rules of requests: transmission flags, commands and their flags, bounds, errors."""
import struct

from nbd_rules import *


# Transmission flags ---------------------------------------------------------------------------

@test("MUST", "Transmission flags")
def no_unknown_transmission_flag_is_set():
    with simple() as c:
        check(c.flags & F_HAS_FLAGS and c.flags >> 13 == 0, "%#x" % c.flags)


@test("MUST", "Transmission flags")
def FAST_ZERO_comes_only_with_WRITE_ZEROES():
    with simple() as c:
        check(c.flags & F_ZEROES or not c.flags & F_FAST_ZERO)


@test("OURS", "Transmission flags")
def all_features_are_offered():
    with structured() as c:
        wanted = F_FLUSH | F_FUA | F_CACHE | F_DF
        if not c.flags & F_READ_ONLY:
            wanted |= F_ZEROES | F_FAST_ZERO
        offered(c.flags & wanted == wanted, "flags %#x: something" % c.flags)


@test("MUST", "EXT Transmission flags")
def STATUS_PAYLOAD_comes_only_with_extended_headers():
    with with_status() as c:
        check(not c.flags & F_STATUS_PAYLOAD)


@test("SHOULD", "EXT Transmission flags")
def STATUS_PAYLOAD_comes_only_with_contexts():
    with extended() as c:
        check(not c.flags & F_STATUS_PAYLOAD)


@test("MUST", "CAN_MULTI_CONN")
def a_flushed_write_is_seen_on_every_connection():
    with simple() as a, simple() as b:
        a.writable().has(F_MULTI, "multi-conn")
        data = noise(8192, 7)
        b.read(0, 8192)
        a.write(0, data)
        a.request(FLUSH)
        check(b.read(0, 8192) == data)


@test("MUST", "CAN_MULTI_CONN")
def a_FUA_write_is_seen_on_every_connection():
    with simple() as a, simple() as b:
        a.writable().has(F_MULTI, "multi-conn")
        data = noise(4096, 8)
        b.read(4096, 4096)
        a.write(4096, data, FUA)
        check(b.read(4096, 4096) == data)


# Requests and simple replies ------------------------------------------------------------------

@test("MUST", "Simple reply message")
def a_read_brings_what_was_written():
    with simple() as c:
        data = noise(65536)
        c.writable().write(128 * KIB, data)
        check(c.read(128 * KIB, 65536) == data)


@test("MUST", "Simple reply message")
def replies_are_simple_unless_negotiated_otherwise():
    with simple() as c:
        check(c.request(READ, 0, 512).simple and c.request(FLUSH).simple)


@test("OURS", "Size constraints")
def any_alignment_is_served_where_sizes_were_not_agreed():
    with simple() as c:
        c.writable().write(0, noise(20000, 2))
        want = bytearray(noise(20000, 2))
        for offset, n in ((1, 1), (511, 2), (513, 511), (4095, 4098), (9999, 1)):
            want[offset:offset + n] = noise(n, offset)
            c.write(offset, noise(n, offset))
            check(c.read(offset, n) == noise(n, offset))
        check(c.read(0, 20000) == bytes(want))


@test("SHOULD", "Error values")
def unaligned_requests_are_EINVAL_where_sizes_were_agreed():
    with simple((INFO_BLOCK_SIZE,)) as c:
        minimum = c.blocks[0]
        if minimum == 1:
            raise NotHere("the minimum block is 1")
        c.fails(EINVAL, READ, minimum // 2, minimum)
        c.fails(EINVAL, READ, 0, minimum // 2)
        c.writable().fails(EINVAL, WRITE, 1, minimum, data=bytes(minimum))


@test("MUST", "Simple reply message")
def the_cookie_is_opaque():
    with simple() as c:
        for cookie in (0, 0xffffffffffffffff, 0x6744669800000000):
            check(c.finish(c.ask(READ, 0, 16, cookie=cookie))[cookie].error == 0)


@test("MUST", "Transmission")
def a_cookie_may_be_used_again():
    with simple() as c:
        for _ in range(3):
            check(c.finish(c.ask(READ, 0, 16, cookie=5))[5].error == 0)


@test("OURS", "Transmission")
def many_requests_may_be_under_way():
    with simple() as c:
        cookies = [c.ask(READ, n * 512, 512) for n in range(64)]
        check(all(r.error == 0 for r in c.finish(*cookies).values()))


@test("OURS", "Transmission")
def a_client_that_does_not_read_is_not_dropped():
    with simple() as c:
        n = min(c.size, MIB)
        cookies = range(1, 201)
        c.send(b"".join(c.packed(READ, 0, n, cookie=cookie) for cookie in cookies))
        with simple() as other:
            other.lives()
        replies = c.finish(*cookies).values()
        check(all(r.error == 0 and len(r.parts[0][2]) == n for r in replies))


@test("OURS", "Request message")
def a_request_may_come_byte_by_byte():
    with simple() as c:
        data = noise(40, 3)
        c.writable().reads[9] = 0
        for byte in struct.pack(">IHHQQI", REQUEST, 0, WRITE, 9, 512, len(data)) + data:
            c.send(bytes([byte]))
        check(c.finish(9)[9].error == 0 and c.read(512, 40) == data)


@test("OURS", "Request message")
def a_wrong_request_magic_drops_the_connection():
    with simple() as c:
        c.ask(READ, 0, 512, magic=0x12560953)
        check(c.is_closed())


@test("SHOULD", "Error values")
def an_unknown_command_is_EINVAL():
    with simple() as c:
        c.fails(EINVAL, 99, 0, 512)
        c.fails(EINVAL, 0xffff)


@test("SHOULD", "Error values")
def RESIZE_is_EINVAL_where_it_is_not_offered():
    with simple() as c:
        if c.flags & F_RESIZE:
            raise NotHere("the server does RESIZE")
        c.fails(EINVAL, 8)


@test("SHOULD", "Error values")
def an_unknown_flag_is_EINVAL_for_every_command():
    with simple() as c:
        for command in (READ, FLUSH, TRIM, CACHE, ZEROES):
            length = 0 if command == FLUSH else 512
            c.fails((EINVAL, EPERM), command, 0, length, flags=1 << 15)


@test("SHOULD", "Error values")
def an_unknown_flag_of_a_write_is_EINVAL_and_its_payload_drained():
    with simple() as c:
        c.writable().fails(EINVAL, WRITE, 0, 4096, flags=1 << 14, data=noise(4096))


@test("SHOULD", "Error values")
def a_flag_of_another_command_is_EINVAL():
    with structured() as c:
        for command, flag in ((READ, NO_HOLE), (READ, REQ_ONE), (READ, FAST_ZERO), (CACHE, DF),
                              (CACHE, NO_HOLE)):
            c.fails(EINVAL, command, 0, 512, flags=flag)
        c.writable()
        for flag in (NO_HOLE, DF, REQ_ONE, FAST_ZERO):
            c.fails(EINVAL, WRITE, 0, 512, flags=flag, data=bytes(512))
        c.fails(EINVAL, ZEROES, 0, 512, flags=REQ_ONE)
        c.fails(EINVAL, ZEROES, 0, 512, flags=DF)


@test("SHOULD", "Command flags")
def DF_without_structured_replies_is_EINVAL():
    with simple() as c:
        c.fails(EINVAL, READ, 0, 512, flags=DF)


@test("SHOULD", "EXT Request message")
def PAYLOAD_LEN_without_extended_headers_is_EINVAL():
    with simple() as c:
        c.fails(EINVAL, READ, 0, 512, flags=PAYLOAD_LEN)
        c.writable().fails(EINVAL, WRITE, 0, 512, flags=PAYLOAD_LEN, data=bytes(512))


def accepts_fua(command, flag, what):
    with simple() as c:
        c.has(F_FUA, "FUA")
        if command in (WRITE, TRIM, ZEROES):
            c.writable()
        if flag:
            c.has(flag, what)
        length = 0 if command == FLUSH else 4096
        data = bytes(4096) if command == WRITE else b""
        reply = c.request(command, 0, length, FUA, data)
        check(reply.error == 0, "error", reply.error)


@test("MUST", "Command flags")
def FUA_is_accepted_on_READ():
    accepts_fua(READ, 0, "")


@test("MUST", "Command flags")
def FUA_is_accepted_on_WRITE():
    accepts_fua(WRITE, 0, "")


@test("MUST", "Command flags")
def FUA_is_accepted_on_FLUSH():
    accepts_fua(FLUSH, F_FLUSH, "FLUSH")


@test("MUST", "Command flags")
def FUA_is_accepted_on_TRIM():
    accepts_fua(TRIM, F_TRIM, "TRIM")


@test("MUST", "Command flags")
def FUA_is_accepted_on_CACHE():
    accepts_fua(CACHE, F_CACHE, "CACHE")


@test("MUST", "Command flags")
def FUA_is_accepted_on_WRITE_ZEROES():
    accepts_fua(ZEROES, F_ZEROES, "WRITE_ZEROES")


@test("MUST", "Command flags")
def FUA_is_accepted_on_BLOCK_STATUS():
    with with_status() as c:
        check(c.has(F_FUA, "FUA").request(STATUS, 0, 4096, FUA).error == 0)


@test("SHOULD", "Error values")
def a_read_beyond_the_end_is_EINVAL():
    with simple() as c:
        c.fails(EINVAL, READ, c.size - 512, 1024)


@test("SHOULD", "Error values")
def a_read_at_the_end_is_EINVAL():
    with simple() as c:
        c.fails(EINVAL, READ, c.size, 512)


@test("SHOULD", "Error values")
def a_read_whose_end_wraps_around_is_EINVAL():
    with simple() as c:
        c.fails(EINVAL, READ, 0xfffffffffffffe00, 1024)


@test("MUST", "READ")
def the_last_bytes_can_be_read():
    with simple() as c:
        c.read(c.size - 512, 512)


@test("SHOULD", "Error values")
def a_write_beyond_the_end_is_ENOSPC():
    with simple() as c:
        c.writable().fails(ENOSPC, WRITE, c.size - 512, 1024, data=noise(1024))


@test("OURS", "WRITE")
def a_write_beyond_the_end_writes_nothing():
    with simple() as c:
        c.writable().write(c.size - 512, bytes(512))
        c.request(WRITE, c.size - 512, 1024, data=b"\1" * 1024)
        check(c.read(c.size - 512, 512) == bytes(512))


@test("SHOULD", "Error values")
def a_write_whose_end_wraps_around_is_ENOSPC():
    with simple() as c:
        c.writable().fails(ENOSPC, WRITE, 0xfffffffffffffe00, 1024, data=noise(1024))


@test("SHOULD", "WRITE_ZEROES")
def zeroes_beyond_the_end_are_ENOSPC():
    with simple() as c:
        c.writable().has(F_ZEROES, "WRITE_ZEROES").fails(ENOSPC, ZEROES, c.size - 512, 1024)


@test("SHOULD", "Error values")
def a_trim_beyond_the_end_is_EINVAL():
    with simple() as c:
        c.writable().has(F_TRIM, "TRIM").fails(EINVAL, TRIM, c.size - 512, 1024)


@test("OURS", "Error values")
def a_cache_beyond_the_end_is_EINVAL():
    with simple() as c:
        c.has(F_CACHE, "CACHE").fails(EINVAL, CACHE, c.size - 512, 1024)


@test("SHOULD", "Request types")
def requests_of_no_bytes_do_not_disconnect():
    with simple() as c:
        for command in (READ, WRITE, TRIM, CACHE, ZEROES, STATUS):
            c.request(command, 512, 0)
            c.lives()


@test("OURS", "READ")
def a_read_of_no_bytes_succeeds():
    with simple() as c:
        check(c.request(READ, 512, 0).error == 0)
        c.lives()


@test("OURS", "WRITE")
def a_write_of_no_bytes_succeeds():
    with simple() as c:
        check(c.writable().request(WRITE, 512, 0).error == 0)
        c.lives()


@test("OURS", "TRIM")
def a_trim_of_no_bytes_succeeds():
    with simple() as c:
        check(c.writable().has(F_TRIM, "TRIM").request(TRIM, 512, 0).error == 0)
        c.lives()


@test("OURS", "WRITE_ZEROES")
def zeroes_of_no_bytes_succeed():
    with simple() as c:
        check(c.writable().has(F_ZEROES, "WRITE_ZEROES").request(ZEROES, 512, 0).error == 0)
        c.lives()


@test("OURS", "CACHE")
def a_cache_of_no_bytes_succeeds():
    with simple() as c:
        check(c.has(F_CACHE, "CACHE").request(CACHE, 512, 0).error == 0)
        c.lives()


@test("SHOULD", "Size constraints")
def a_write_of_32_MiB_is_no_attack():
    with simple() as c:
        n = 32 * MIB
        if c.writable().size < n:
            raise NotHere("the export is smaller than 32 MiB")
        c.write(0, bytes(n - 5) + b"world")
        check(c.read(n - 5, 5) == b"world")


@test("SHOULD", "Size constraints")
def a_read_of_32_MiB_is_served():
    with simple() as c:
        if c.size < 32 * MIB:
            raise NotHere("the export is smaller than 32 MiB")
        c.read(0, 32 * MIB)


@test("SHOULD", "Size constraints")
def a_write_beyond_the_agreed_payload_is_an_error_not_the_end():
    with simple((INFO_BLOCK_SIZE,)) as c:
        n = c.too_long()
        if n > 32 * MIB or c.writable().size < n:
            raise NotHere("the maximum payload is too large")
        c.fails((EINVAL, EOVERFLOW), WRITE, 0, n, data=bytes(n))


@test("SHOULD", "Size constraints")
def zeroes_may_be_longer_than_the_maximum_payload():
    with simple((INFO_BLOCK_SIZE,)) as c:
        if c.writable().has(F_ZEROES, "WRITE_ZEROES").size <= c.blocks[2]:
            raise NotHere("the export is not larger than the maximum payload")
        n = min(c.size, 0xffffffff - 65535)
        check(c.request(ZEROES, 0, n).error in (0, EINVAL, EOVERFLOW))
        c.lives()


@test("SHOULD", "Size constraints")
def a_trim_may_be_longer_than_the_maximum_payload():
    with simple((INFO_BLOCK_SIZE,)) as c:
        if c.writable().has(F_TRIM, "TRIM").size <= c.blocks[2]:
            raise NotHere("the export is not larger than the maximum payload")
        n = min(c.size, 0xffffffff - 65535)
        check(c.request(TRIM, 0, n).error in (0, EINVAL, EOVERFLOW))
        c.lives()


@test("MUST", "FLUSH")
def FLUSH_succeeds():
    with simple() as c:
        check(c.has(F_FLUSH, "FLUSH").request(FLUSH).error == 0)


@test("OURS", "FLUSH")
def FLUSH_with_offset_or_length_is_EINVAL():
    with simple() as c:
        c.has(F_FLUSH, "FLUSH").fails(EINVAL, FLUSH, 0, 512)
        c.fails(EINVAL, FLUSH, 512, 0)


@test("MUST", "TRIM")
def a_trim_leaves_its_neighbours_alone():
    with simple() as c:
        c.writable().has(F_TRIM, "TRIM").write(0, noise(256 * KIB))
        check(c.request(TRIM, 64 * KIB, 64 * KIB).error == 0)
        check(c.read(0, 64 * KIB) == noise(256 * KIB)[:64 * KIB])
        check(c.read(128 * KIB, 128 * KIB) == noise(256 * KIB)[128 * KIB:])


def zeroed(flags, errors=(0,), at=64 * KIB, n=100 * KIB):
    with simple() as c:
        c.writable().has(F_ZEROES, "WRITE_ZEROES")
        if flags & FAST_ZERO:
            c.has(F_FAST_ZERO, "FAST_ZERO")
        before = noise(256 * KIB, 5)
        c.write(0, before)
        error = c.request(ZEROES, at, n, flags).error
        check(error in errors, "error", error)
        want = before if error else before[:at] + bytes(n) + before[at + n:]
        check(c.read(0, 256 * KIB) == want, "the contents are wrong")


@test("MUST", "WRITE_ZEROES")
def WRITE_ZEROES_reads_as_zeroes():
    zeroed(0)


@test("MUST", "WRITE_ZEROES")
def WRITE_ZEROES_with_NO_HOLE_reads_as_zeroes():
    zeroed(NO_HOLE)


@test("MUST", "WRITE_ZEROES")
def a_fast_zero_is_done_or_ENOTSUP():
    zeroed(FAST_ZERO, (0, ENOTSUP))


@test("MUST", "WRITE_ZEROES")
def a_fast_zero_with_NO_HOLE_is_done_or_ENOTSUP():
    zeroed(FAST_ZERO | NO_HOLE, (0, ENOTSUP))


@test("OURS", "WRITE_ZEROES")
def unaligned_zeroes_read_as_zeroes():
    zeroed(0, at=12345, n=54321)


@test("OURS", "CACHE")
def CACHE_succeeds_and_changes_nothing():
    with simple() as c:
        before = c.has(F_CACHE, "CACHE").read(0, 65536)
        check(c.request(CACHE, 0, 65536).error == 0 and c.read(0, 65536) == before)


@test("MUST", "DISC")
def DISC_closes_without_a_reply():
    with simple() as c:
        c.ask(DISC)
        check(c.is_closed())


@test("MUST", "DISC")
def requests_before_DISC_are_answered():
    with simple() as c:
        cookies = [c.ask(READ, 0, 64 * KIB) for _ in range(16)]
        c.ask(DISC)
        check(all(r.error == 0 for r in c.finish(*cookies).values()))
        check(c.is_closed())


@test("MUST", "DISC")
def writes_before_DISC_are_done():
    with simple() as c:
        data = noise(64 * KIB, 11)
        c.writable().ask(WRITE, 0, len(data), data=data)
        c.ask(DISC)
    with simple() as c:
        for _ in range(100):
            if c.read(0, len(data)) == data:
                return
    raise AssertionError("the write was lost")


@test("MUST", "DISC")
def DISC_with_an_extended_header_closes():
    with extended() as c:
        c.ask(DISC)
        check(c.is_closed())
