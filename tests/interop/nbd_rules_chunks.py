"""Rules of structured replies and block status."""
from nbd_rules import *


# Structured replies ---------------------------------------------------------------------------

@test("MUST", "Structured reply chunk message")
def a_structured_read_brings_what_was_written():
    with structured() as c:
        data = noise(100000)
        c.writable().write(4096, data)
        check(c.read(4096, 100000) == data)


@test("MUST", "Structured reply chunk message")
def DONE_is_set_on_the_last_chunk_only():
    with structured() as c:
        reply = c.request(READ, 0, 256 * KIB)
        check([f & DONE for f, _, _ in reply.chunks] == [0] * (len(reply.chunks) - 1) + [1])


@test("MUST", "Structured reply chunk message")
def even_an_early_error_of_a_read_is_structured():
    with structured() as c:
        reply = c.fails(EINVAL, READ, 0, 512, flags=1 << 15)
        check(not reply.simple)
        check(not c.fails(EINVAL, READ, c.size, 512).simple)


@test("MUST", "READ")
def a_failed_read_has_no_content_chunk_for_what_was_not_read():
    with structured() as c:
        check(not c.fails(EINVAL, READ, c.size, 512).parts)


@test("OURS", "READ")
def a_structured_read_of_no_bytes_is_a_lone_NONE():
    with structured() as c:
        check([k for _, k, _ in c.request(READ, 512, 0).chunks] == [C_NONE])
        c.lives()


@test("OURS", "OFFSET_HOLE")
def zeroes_are_read_as_a_hole():
    with structured() as c:
        c.writable().has(F_ZEROES, "WRITE_ZEROES").request(ZEROES, 0, 256 * KIB)
        kinds = {k for _, k, _ in c.request(READ, 0, 256 * KIB).chunks}
        offered(C_HOLE in kinds, "OFFSET_HOLE")
        check(C_DATA not in kinds)


@test("MUST", "READ")
def chunks_of_a_mixed_area_make_up_its_contents():
    with structured() as c:
        want = patchwork(c)
        for offset, n in ((0, 256 * KIB), (1, 200001), (65535, 65538), (70000, 100)):
            check(c.read(offset, n) == want[offset:offset + n])


@test("MUST", "READ")
def a_DF_read_of_a_mixed_area_is_one_data_chunk():
    with structured() as c:
        c.has(F_DF, "DF")
        want = patchwork(c)
        reply = c.request(READ, 0, 256 * KIB, DF)
        check(len(reply.parts) == 1 and reply.data(0, 256 * KIB) == want)


@test("MUST", "READ")
def a_DF_read_of_64_KiB_works():
    with structured() as c:
        check(len(c.has(F_DF, "DF").request(READ, 1000, 65536, DF).parts) == 1)


@test("SHOULD", "READ")
def a_DF_read_that_is_too_long_is_EOVERFLOW():
    with structured((INFO_BLOCK_SIZE,)) as c:
        n = c.too_long()
        if c.has(F_DF, "DF").size < n:
            raise NotHere("the export is not larger than the maximum payload")
        reply = c.request(READ, 0, n, DF)
        check(reply.error == EOVERFLOW and not reply.parts or len(reply.parts) == 1)
        c.lives()


@test("OURS", "READ")
def a_read_longer_than_the_maximum_payload_comes_in_chunks():
    with structured((INFO_BLOCK_SIZE,)) as c:
        n = c.too_long(2)
        if c.size < n:
            raise NotHere("the export is not larger than the maximum payload")
        reply = c.request(READ, 0, n)
        offered(reply.error != EOVERFLOW, "a read of more than the maximum payload")
        reply.data(0, n)
        check(all(m <= c.blocks[2] for _, m, data in reply.parts if data), "a chunk is too long")


@test("SHOULD", "READ")
def chunks_are_multiples_of_512_bytes():
    with structured() as c:
        patchwork(c)
        check(all(at % 512 == n % 512 == 0 for at, n, _ in c.request(READ, 0, 256 * KIB).parts))


@test("MUST", "Structured reply chunk message")
def a_write_with_structured_replies_is_answered():
    with structured() as c:
        c.writable().write(0, b"hello" * 100)
        check(c.request(FLUSH).error == 0)


@test("SHOULD", "Structured reply chunk message")
def errors_come_with_a_text():
    with structured() as c:
        check(c.fails(EINVAL, READ, c.size, 512).text)
        check(c.fails(EINVAL, 99).text)
        check(c.fails(EINVAL, FLUSH, flags=1 << 15).text)


@test("OURS", "Structured reply types")
def an_error_has_one_error_chunk_and_nothing_else():
    with structured() as c:
        check([k for _, k, _ in c.fails(EINVAL, READ, c.size, 512).chunks] == [C_ERROR])


# Block status ---------------------------------------------------------------------------------

@test("MUST", "BLOCK_STATUS")
def one_chunk_comes_per_selected_context():
    with Client().want_structured() as c:
        c.set_meta(*[n for n in list_meta(first=STRUCTURED_REPLY)[1] if not n.endswith(":")])
        reply = c.go().request(STATUS, 0, 65536)
        check(set(reply.status) == set(c.contexts.values()))


@test("MUST", "BLOCK_STATUS")
def only_the_last_descriptor_may_go_beyond_the_request():
    with with_status() as c:
        patchwork(c)
        for offset, n in ((0, 65536), (0, 65537), (64 * KIB, 512), (4096, 150000)):
            extents = allocation(c, c.request(STATUS, offset, n))
            check(sum(m for m, _ in extents[:-1]) < n)
            check(offset + sum(m for m, _ in extents) <= c.size, "beyond the export")


@test("MUST", "Command flags")
def REQ_ONE_brings_one_descriptor_within_the_request():
    with with_status() as c:
        patchwork(c)
        for offset, n in ((0, 256 * KIB), (64 * KIB, 1024), (0, c.size & 0xfffffe00)):
            extents = allocation(c, c.request(STATUS, offset, n, REQ_ONE))
            check(len(extents) == 1 and extents[0][0] <= n)


@test("SHOULD", "BLOCK_STATUS")
def the_status_of_no_bytes_does_not_disconnect():
    with with_status() as c:
        c.fails(EINVAL, STATUS, 0, 0)


@test("SHOULD", "BLOCK_STATUS")
def a_status_beyond_the_end_is_EINVAL():
    with with_status() as c:
        c.fails(EINVAL, STATUS, c.size - 512, 1024)
        c.fails(EINVAL, STATUS, c.size, 512)


@test("SHOULD", "Metadata querying")
def a_status_without_contexts_is_EINVAL():
    with structured() as c:
        no_status(c)


@test("SHOULD", "Metadata querying")
def a_status_without_structured_replies_is_EINVAL():
    with simple() as c:
        no_status(c)


@test("SHOULD", "base:allocation metadata context")
def base_allocation_has_two_flags():
    with with_status() as c:
        patchwork(c)
        check(all(s & ~3 == 0 for _, s in allocation(c, c.request(STATUS, 0, 256 * KIB))))


@test("MUST", "base:allocation metadata context")
def what_is_said_to_be_zero_reads_as_zeroes():
    with with_status() as c:
        want = patchwork(c)
        if c.flags & F_ZEROES:
            c.request(ZEROES, 128 * KIB, 32 * KIB)
        at = 0
        for n, state in allocation(c, c.request(STATUS, 0, 256 * KIB)):
            n = min(n, 256 * KIB - at)
            data = c.read(at, n) if n else b""
            check(not state & 2 or data == bytes(n), "data at", at)
            at += n
        check(want[:65536] == c.read(0, 65536))


@test("OURS", "base:allocation metadata context")
def what_was_written_is_no_hole():
    with with_status() as c:
        c.writable().write(0, noise(65536))
        n, state = allocation(c, c.request(STATUS, 0, 65536))[0]
        check(n >= 4096 and state == 0, n, state)


@test("SHOULD", "BLOCK_STATUS")
def neighbours_differ():
    with with_status() as c:
        patchwork(c)
        states = [s for _, s in allocation(c, c.request(STATUS, 0, c.size & 0xfffff000))]
        check(all(a != b for a, b in zip(states, states[1:])))


@test("SHOULD", "BLOCK_STATUS")
def descriptors_are_multiples_of_the_minimum_block_and_of_512():
    with with_status((INFO_BLOCK_SIZE,)) as c:
        patchwork(c)
        unit = max(512, c.blocks[0])
        check(all(n % unit == 0 for n, _ in allocation(c, c.request(STATUS, 0, 256 * KIB))))


@test("SHOULD", "BLOCK_STATUS")
def a_status_of_all_that_32_bits_hold_is_answered():
    with with_status() as c:
        n = min(c.size, 0xfffff000)
        check(len(allocation(c, c.request(STATUS, 0, n))) <= 1 << 20)


@test("OURS", "Metadata querying")
def the_raw_provisioning_status_can_be_had():
    with Client().want_structured() as c:
        c.set_meta("x-scsi:provisioning")
        offered(c.contexts, "x-scsi:provisioning")
        c.go().writable().write(0, noise(65536))
        n, state = c.request(STATUS, 0, 65536).status[c.contexts["x-scsi:provisioning"]][0]
        check(n >= 4096 and state == 0)
