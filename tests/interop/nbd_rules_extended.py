"""Rules of extended headers (EXT)."""
import struct

from nbd_rules import *


# Extended headers -----------------------------------------------------------------------------

@test("MUST", "EXT Extended reply chunk message")
def with_extended_headers_every_reply_is_extended():
    with extended() as c:
        for command, n in ((READ, 512), (FLUSH, 0), (CACHE, 512), (99, 0)):
            check(not c.request(command, 0, n).simple)


@test("MUST", "EXT Extended reply chunk message")
def the_reply_has_the_offset_of_the_request():
    with extended() as c:
        for offset in (0, 512, c.size - 1024):
            c.read(offset, 1024)        # finish() compares them
        c.fails(EINVAL, READ, c.size, 512)


@test("MUST", "EXT Request message")
def an_extended_write_is_read_back():
    with extended() as c:
        data = noise(70000, 21)
        c.writable().write(1000, data)
        check(c.read(1000, 70000) == data)


def raw_extended(c, flags, command, offset, length, data=b""):
    c.cookie += 1
    c.reads[c.cookie] = 0
    c.send(struct.pack(">IHHQQQ", EXT_REQUEST, flags, command, c.cookie, offset, length) + data)
    return c.finish(c.cookie, offset=offset)[c.cookie]


@test("MUST", "EXT Command flags")
def an_extended_write_without_PAYLOAD_LEN_is_EINVAL():
    with extended() as c:
        check(raw_extended(c.writable(), 0, WRITE, 0, 512).error == EINVAL)
        c.lives()


@test("OURS", "EXT Request message")
def a_compact_request_drops_an_extended_connection():
    with extended() as c:
        c.send(struct.pack(">IHHQQI", REQUEST, 0, READ, 1, 0, 512) + bytes(4))
        check(c.is_closed())


@test("SHOULD", "EXT Request message")
def an_unexpected_payload_is_drained_and_EINVAL():
    with extended() as c:
        for command in (READ, FLUSH, CACHE, 99):
            check(raw_extended(c, PAYLOAD_LEN, command, 0, 4096, noise(4096)).error == EINVAL)
            c.lives()
        for command in (TRIM, ZEROES):
            reply = raw_extended(c, PAYLOAD_LEN, command, 0, 4096, noise(4096))
            check(reply.error in (EINVAL, EPERM))
            c.lives()


@test("SHOULD", "EXT Request message")
def a_payload_beyond_all_bounds_disconnects():
    with extended() as c:
        c.ask(WRITE, 0, 1 << 40)
        check(c.is_closed())


@test("MUST", "EXT READ")
def a_length_of_64_bits_beyond_the_end_is_an_error():
    with extended() as c:
        c.fails(EINVAL, READ, 0, 1 << 33 if c.size < 1 << 33 else 1 << 62)
        c.fails(EINVAL, READ, 512, (1 << 64) - 512)
        c.fails((EINVAL, EPERM), TRIM, 0, (1 << 64) - 1)
        c.fails((ENOSPC, EPERM), ZEROES, 1 << 63, 1 << 63)


@test("OURS", "EXT WRITE_ZEROES")
def the_whole_export_is_zeroed_by_one_request():
    with extended() as c:
        c.writable().has(F_ZEROES, "WRITE_ZEROES").write(c.size - 4096, noise(4096))
        check(c.request(ZEROES, 0, c.size).error == 0)
        check(c.read(c.size - 4096, 4096) == bytes(4096))


@test("OURS", "EXT TRIM")
def the_whole_export_is_trimmed_by_one_request():
    with extended() as c:
        check(c.writable().has(F_TRIM, "TRIM").request(TRIM, 0, c.size).error == 0)


@test("OURS", "EXT CACHE")
def the_whole_export_is_cached_by_one_request():
    with extended() as c:
        check(c.has(F_CACHE, "CACHE").request(CACHE, 0, c.size).error == 0)


@test("OURS", "EXT READ")
def extended_holes_data_and_DF_work():
    with extended() as c:
        want = patchwork(c)
        check(c.read(0, 256 * KIB) == want)
        check(len(c.has(F_DF, "DF").request(READ, 0, 256 * KIB, DF).parts) == 1)


@test("OURS", "EXT READ")
def an_extended_read_of_no_bytes_is_a_lone_NONE():
    with extended() as c:
        check([k for _, k, _ in c.request(READ, 512, 0).chunks] == [C_NONE])


@test("MUST", "EXT Structured reply types")
def extended_status_is_BLOCK_STATUS_EXT():
    with ext_with_status() as c:
        patchwork(c)
        extents = allocation(c, c.request(STATUS, 0, 256 * KIB))     # take_chunk() wants type 6
        check(sum(n for n, _ in extents[:-1]) < 256 * KIB)


@test("MUST", "EXT Structured reply types")
def the_upper_half_of_an_extended_base_state_is_zero():
    with ext_with_status() as c:
        check(all(s >> 32 == 0 for _, s in allocation(c, c.request(STATUS, 0, c.size))))


@test("MUST", "EXT BLOCK_STATUS")
def extended_REQ_ONE_brings_one_descriptor_within_the_request():
    with ext_with_status() as c:
        extents = allocation(c, c.request(STATUS, 0, c.size, REQ_ONE))
        check(len(extents) == 1 and extents[0][0] <= c.size)


def filtered(c, effect, *ids, offset=0, extra=b""):
    c.has(F_STATUS_PAYLOAD, "BLOCK_STATUS_PAYLOAD")
    data = struct.pack(">Q%dI" % len(ids), effect, *ids) + extra
    return raw_extended(c, PAYLOAD_LEN, STATUS, offset, len(data), data)


@test("MUST", "EXT BLOCK_STATUS")
def a_payload_picks_one_context():
    with Client().want_extended() as c:
        c.set_meta(*[n for n in list_meta(first=STRUCTURED_REPLY)[1] if not n.endswith(":")])
        c.go()
        for context in c.contexts.values():
            reply = filtered(c, 65536, context)
            check(reply.error == 0 and set(reply.status) == {context})


@test("MUST", "EXT BLOCK_STATUS")
def a_payload_with_an_unknown_context_is_EINVAL():
    with ext_with_status() as c:
        check(filtered(c, 65536, 0xfffffff0).error == EINVAL)
        c.lives()


@test("MUST", "EXT BLOCK_STATUS")
def a_payload_with_a_context_twice_is_EINVAL():
    with ext_with_status() as c:
        one = c.contexts["base:allocation"]
        check(filtered(c, 65536, one, one).error == EINVAL)
        c.lives()


@test("MUST", "EXT BLOCK_STATUS")
def a_payload_of_a_wrong_length_is_EINVAL():
    with ext_with_status() as c:
        one = c.contexts["base:allocation"]
        check(filtered(c, 65536, one, extra=b"xyz").error == EINVAL)
        check(filtered(c, 65536, *range(1000)).error == EINVAL)
        c.has(F_STATUS_PAYLOAD, "BLOCK_STATUS_PAYLOAD")
        check(raw_extended(c, PAYLOAD_LEN, STATUS, 0, 3, b"abc").error == EINVAL)
        c.lives()


@test("SHOULD", "EXT BLOCK_STATUS")
def the_effect_length_in_a_payload_is_bounded_too():
    with ext_with_status() as c:
        one = c.contexts["base:allocation"]
        check(filtered(c, c.size + 512, one).error == EINVAL)
        check(filtered(c, 1024, one, offset=c.size - 512).error == EINVAL)
        check(filtered(c, 0, one).error == EINVAL)
        c.lives()


@test("MUST", "EXT BLOCK_STATUS")
def a_payload_is_refused_where_it_is_not_offered():
    with extended() as c:
        data = struct.pack(">QI", 65536, 1)
        check(raw_extended(c, PAYLOAD_LEN, STATUS, 0, len(data), data).error == EINVAL)
        c.lives()
