"""Rules of SBC-3: ranges, UNMAP, WRITE SAME, VERIFY, COMPARE AND WRITE, what is reported of them."""
from iscsi_rules import *

DPO, FUA = 0x10, 8


def limits(c):
    """Block Limits."""
    listed = c.good(inquiry(255, 0), read=255).data[4:]
    offered(0xb0 in listed, "page B0")
    return c.good(inquiry(255, 0xb0), read=255).data


def provisioning(c):
    listed = c.good(inquiry(255, 0), read=255).data[4:]
    offered(0xb2 in listed, "page B2")
    return c.good(inquiry(255, 0xb2), read=255).data


def unmapping():
    c = writing()
    try:
        offered(provisioning(c)[5] & 0x80, "UNMAP")
    except NotOffered:
        c.s.close()
        raise
    return c


# Ranges ----------------------------------------------------------------------------------------------

def beyond(make, data=False):
    """Every range that does not end within the unit is out of range, also where sums wrap."""
    with writing() as c:
        for lba, blocks in ((Unit.blocks, 1), (Unit.blocks - 1, 2), (1 << 63, 1),
                            ((1 << 64) - 1, 1), ((1 << 64) - 1, 2), ((1 << 64) - 8, 8),
                            ((1 << 64) - 4, 8)):
            n = blocks * Unit.block_len
            how = {"write": bytes(n)} if data else {"read": n}
            c.fails(LBA_RANGE, make(lba, blocks), **how)
        c.good(make(Unit.blocks - 1, 1),
               **({"write": bytes(Unit.block_len)} if data else {"read": Unit.block_len}))


@test("MUST", "SBC-3 4.5")
def READ_16_beyond_the_end_is_out_of_range():
    beyond(read_16)


@test("MUST", "SBC-3 4.5")
def WRITE_16_beyond_the_end_is_out_of_range():
    beyond(write_16, data=True)


@test("MUST", "SBC-3 4.5")
def VERIFY_16_beyond_the_end_is_out_of_range():
    with session() as c:
        for lba, blocks in ((Unit.blocks, 1), (Unit.blocks - 1, 2), ((1 << 64) - 1, 2)):
            c.fails(LBA_RANGE, struct.pack(">BBQIBB", 0x8f, 0, lba, blocks, 0, 0))
        c.good(struct.pack(">BBQIBB", 0x8f, 0, Unit.blocks - 1, 1, 0, 0))


@test("MUST", "SBC-3 4.5")
def READ_10_beyond_32_bits_is_out_of_range():
    with session() as c:
        c.fails(LBA_RANGE, read_10(0xffffffff, 0xff), read=0xff * Unit.block_len)


@test("MUST", "SBC-3 5.10")
def no_blocks_are_no_error():
    with writing() as c:
        for cdb in (read_10(0, 0), write_10(0, 0), read_16(5, 0), write_16(5, 0)):
            c.good(cdb)


@test("MUST", "SBC-3 5.10")
def no_blocks_beyond_the_end_are_out_of_range():
    with session() as c:
        c.good(read_16(Unit.blocks - 1, 0))
        result = c.scsi(read_16(Unit.blocks + 1, 0))
        check(result.status == CHECK_CONDITION and result.key == LBA_RANGE, result)


@test("MUST", "SBC-3 5.7")
def a_length_of_0_in_READ_6_is_256_blocks():
    with session() as c:
        n = 256 * Unit.block_len
        result = has(c, c.scsi(bytes([0x08, 0, 0, 0, 0, 0]), read=n), "READ 6")
        check(result.status == GOOD and len(result.data) == n and not result.residual, result)


@test("MUST", "SBC-3 6.6.4")
def a_transfer_of_more_than_the_maximum_is_refused():
    with session() as c:
        most = be(limits(c)[8:12])
        if not most or most >= Unit.blocks:
            raise NotHere("no limit below the unit's size")
        c.fails(INVALID_FIELD, read_16(0, most + 1), read=(most + 1) * Unit.block_len)
        c.good(read_16(0, most), read=most * Unit.block_len)


@test("MUST", "SBC-3 5.15")
def READ_CAPACITY_10_and_16_agree():
    with session() as c:
        short, long = c.good(read_capacity_10(), read=8).data, c.good(read_capacity_16(),
                                                                      read=32).data
        check(be(short[:4]) == min(be(long[:8]), 0xffffffff) and short[4:] == long[8:12],
              short, long)


@test("MUST", "SBC-3 5.16")
def an_unknown_service_action_of_9E_is_refused():
    with session() as c:
        for action in (0, 0x11, 0x13, 0x1f):
            result = c.scsi(struct.pack(">BBQIH", 0x9e, action, 0, 32, 0), read=32)
            check(result.status == CHECK_CONDITION and result.key in (INVALID_FIELD,
                                                                     INVALID_OPCODE), result)


# DPO and FUA -------------------------------------------------------------------------------------------

@test("MUST", "SBC-3 5.10")
def DPO_and_FUA_are_taken_where_DPOFUA_says_so():
    with writing() as c:
        dpofua = c.good(mode_sense_6(0x3f, 4), read=4).data[2] & 0x10
        for flags in (DPO, FUA, DPO | FUA):
            for result in (c.scsi(read_10(0, 1, flags), read=Unit.block_len),
                           c.scsi(write_10(0, 1, flags), write=bytes(Unit.block_len))):
                check(result.status == GOOD or (not dpofua and result.key == INVALID_FIELD),
                      result)


@test("MUST", "SBC-3 5.10")
def RDPROTECT_without_protection_is_refused():
    with session() as c:
        for protect in (1, 3, 5):
            c.fails(INVALID_FIELD, read_10(0, 1, protect << 5), read=Unit.block_len)


@test("MUST", "SBC-3 5.30")
def WRPROTECT_without_protection_is_refused():
    with writing() as c:
        data = fill(c, 0, 1, 50)
        result = c.scsi(write_10(0, 1, 1 << 5), write=noise(Unit.block_len, 51))
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)
        holds(c, 0, data)


# UNMAP ---------------------------------------------------------------------------------------------

def unmap_fails(keys, *descriptors, **lies):
    with unmapping() as c:
        data = fill(c, 0, 8, 52)
        body = unmap_list(*descriptors, **lies)
        result = c.scsi(unmap(len(body)), write=body)
        check(result.status == CHECK_CONDITION and result.key in keys, result)
        holds(c, 0, data)


@test("MUST", "SBC-3 5.28")
def UNMAP_without_a_list_is_no_error():
    with unmapping() as c:
        c.good(unmap(0))


@test("MUST", "SBC-3 5.28")
def UNMAP_of_no_descriptors_is_no_error():
    with unmapping() as c:
        c.good(unmap(8), write=unmap_list())


@test("MUST", "SBC-3 5.28")
def UNMAP_of_no_blocks_is_no_error():
    with unmapping() as c:
        data = fill(c, 0, 8, 53)
        body = unmap_list((0, 0))
        c.good(unmap(len(body)), write=body)
        holds(c, 0, data)


@test("MUST", "SBC-3 5.28")
def UNMAP_with_a_list_shorter_than_its_header_is_refused():
    with unmapping() as c:
        for n in range(1, 8):
            result = c.scsi(unmap(n), write=bytes(n))
            check(result.status == CHECK_CONDITION and result.key == PARAMETER_LENGTH, n, result)


@test("MUST", "SBC-3 5.28")
def UNMAP_of_half_a_descriptor_ignores_it():
    # §5.28.2: if the length is no multiple of 16, the last descriptor is incomplete, and ignored.
    with unmapping() as c:
        data = fill(c, 0, 8, 54)
        body = unmap_list((0, 8), descriptor_length=8)[:16]
        result = c.scsi(unmap(16), write=body)
        check(result.status == GOOD or result.key in (PARAMETER_FIELD, PARAMETER_LENGTH), result)
        holds(c, 0, data)


@test("MUST", "SBC-3 5.28")
def UNMAP_beyond_the_end_is_out_of_range():
    with unmapping() as c:
        for lba, n in ((Unit.blocks, 1), (Unit.blocks - 1, 2), ((1 << 64) - 1, 2), (1 << 63, 1)):
            body = unmap_list((lba, n))
            result = c.scsi(unmap(len(body)), write=body)
            check(result.status == CHECK_CONDITION and result.key == LBA_RANGE, result)


@test("SHOULD", "SBC-3 5.28")
def UNMAP_with_one_descriptor_beyond_the_end_unmaps_nothing():
    with unmapping() as c:
        unmap_fails((LBA_RANGE,), (0, 8), (Unit.blocks, 1))


@test("MUST", "SBC-3 5.28")
def UNMAP_of_more_descriptors_than_the_maximum_is_refused():
    with unmapping() as c:
        most = be(limits(c)[24:28])
    if not most or most > 4000:
        raise NotHere("no limit of descriptors that can be exceeded")
    unmap_fails((PARAMETER_FIELD,), *[(0, 0)] * (most + 1))


@test("MUST", "SBC-3 5.28")
def UNMAP_of_more_blocks_than_the_maximum_is_refused():
    with unmapping() as c:
        most = be(limits(c)[20:24])
        if not most or most >= Unit.blocks:
            raise NotHere("no limit of blocks below the unit's size")
    unmap_fails((PARAMETER_FIELD,), (0, most + 1))


@test("MUST", "SBC-3 5.28")
def UNMAP_of_overlapping_ranges_is_taken():
    with unmapping() as c:
        body = unmap_list((0, 8), (4, 8), (0, 8))
        c.good(unmap(len(body)), write=body)


@test("MUST", "SBC-3 5.28")
def UNMAP_without_its_data_unmaps_nothing():
    with unmapping() as c:
        data = fill(c, 0, 8, 55)
        result = c.scsi(unmap(24))
        check(result.status == CHECK_CONDITION or result.residual, result)
        holds(c, 0, data)


@test("MUST", "SBC-3 6.6.4")
def what_was_unmapped_reads_as_zero_if_LBPRZ_says_so():
    with unmapping() as c:
        capacity = c.good(read_capacity_16(), read=32).data
        if not capacity[14] & 0x40:
            raise NotHere("LBPRZ is 0")
        fill(c, 0, 64, 56)
        body = unmap_list((0, 64))
        c.good(unmap(len(body)), write=body)
        holds(c, 0, bytes(64 * Unit.block_len))


@test("MUST", "SBC-3 6.6.5")
def LBPME_and_page_B2_agree():
    with session() as c:
        lbpme = c.good(read_capacity_16(), read=32).data[14] & 0x80
        page = provisioning(c)
        check(bool(lbpme) == bool(page[5] & 0xe0), "LBPME", lbpme, "B2", page[5])


# WRITE SAME ------------------------------------------------------------------------------------------

def write_same_16(lba, blocks, flags=0):
    return struct.pack(">BBQIBB", 0x93, flags, lba, blocks, 0, 0)


@test("MUST", "SBC-3 5.44")
def WRITE_SAME_writes_one_block_many_times():
    with writing() as c:
        data = noise(Unit.block_len, 57)
        has(c, c.scsi(write_same_16(10, 20), write=data), "WRITE SAME 16")
        c.good(write_same_16(10, 20), write=data)
        holds(c, 10, data * 20)


@test("MUST", "SBC-3 6.6.4")
def WRITE_SAME_of_no_blocks_is_refused_where_WSNZ_is_1():
    with writing() as c:
        has(c, c.scsi(write_same_16(10, 1), write=bytes(Unit.block_len)), "WRITE SAME 16")
        if not limits(c)[4] & 1:
            raise NotHere("WSNZ is 0")
        result = c.scsi(write_same_16(0, 0), write=bytes(Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


def to_the_end(c):
    """The limit of WRITE SAME in blocks, where no blocks are all to the end."""
    has(c, c.scsi(write_same_16(10, 1), write=bytes(Unit.block_len)), "WRITE SAME 16")
    page = limits(c)
    if page[4] & 1:
        raise NotHere("WSNZ is 1")
    return be(page[36:44]) or Unit.blocks


@test("SHOULD", "SBC-3 5.44, 6.6.4")
def WRITE_SAME_of_no_blocks_is_to_the_end():
    with writing() as c:
        to_the_end(c)
        first = Unit.blocks - 5
        before, data = fill(c, first - 1, 1, 60), noise(Unit.block_len, 61)
        result = c.scsi(write_same_16(first, 0), write=data)
        if result.status == CHECK_CONDITION and result.key == INVALID_FIELD:
            raise NotOffered("WRITE SAME to the end")
        check(result.status == 0, result)
        holds(c, first - 1, before + data * 5)


@test("MUST", "SBC-3 5.44, 6.6.4")
def WRITE_SAME_to_the_end_keeps_to_the_limit():
    with writing() as c:
        limit = to_the_end(c)
        if limit >= Unit.blocks:
            raise NotHere("the unit is within the limit")
        result = c.scsi(write_same_16(Unit.blocks - limit - 1, 0), write=bytes(Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


@test("MUST", "SBC-3 5.44")
def WRITE_SAME_to_the_end_from_behind_it_is_out_of_range():
    with writing() as c:
        to_the_end(c)
        result = c.scsi(write_same_16(Unit.blocks + 1, 0), write=bytes(Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == LBA_RANGE, result)


@test("MUST", "SBC-3 5.44")
def WRITE_SAME_beyond_the_end_is_out_of_range():
    with writing() as c:
        has(c, c.scsi(write_same_16(10, 1), write=bytes(Unit.block_len)), "WRITE SAME 16")
        result = c.scsi(write_same_16((1 << 64) - 1, 2), write=bytes(Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == LBA_RANGE, result)


@test("MUST", "SBC-3 5.44")
def ANCHOR_without_UNMAP_is_refused():
    with writing() as c:
        has(c, c.scsi(write_same_16(10, 1), write=bytes(Unit.block_len)), "WRITE SAME 16")
        result = c.scsi(write_same_16(0, 1, 0x10), write=bytes(Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


@test("MUST", "SBC-3 5.44")
def NDOB_needs_no_data():
    with writing() as c:
        fill(c, 0, 8, 58)
        result = has(c, c.scsi(write_same_16(0, 8, 1)), "WRITE SAME 16")
        if result.status == CHECK_CONDITION:
            check(result.key == INVALID_FIELD, result)
            raise NotOffered("NDOB")
        holds(c, 0, bytes(8 * Unit.block_len))


# VERIFY, COMPARE AND WRITE -------------------------------------------------------------------------------

def verify_10(lba, blocks, check_bytes=0):
    return struct.pack(">BBIBHB", 0x2f, check_bytes << 1, lba, 0, blocks, 0)


@test("MUST", "SBC-3 5.29")
def VERIFY_compares_and_tells_where_it_differs():
    with writing() as c:
        data = fill(c, 0, 4, 59)
        c.good(verify_10(0, 4, 1), write=data)
        wrong = bytearray(data)
        wrong[1000] ^= 1
        result = c.scsi(verify_10(0, 4, 1), write=bytes(wrong))
        check(result.status == CHECK_CONDITION and result.key == MISCOMPARE, result)
        check(result.sense[0] & 0x80 and be(result.sense[3:7]) == 1000, result.sense)


@test("MUST", "SBC-3 5.29")
def VERIFY_with_BYTCHK_2_is_refused():
    with session() as c:
        result = c.scsi(verify_10(0, 1, 2), write=bytes(Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


@test("MUST", "SBC-3 5.29")
def VERIFY_with_BYTCHK_3_compares_one_block_with_all():
    with writing() as c:
        block = noise(Unit.block_len, 60)
        c.good(write_10(0, 4), write=block * 4)
        result = c.scsi(verify_10(0, 4, 3), write=block)
        if result.status == CHECK_CONDITION and result.key == INVALID_FIELD:
            raise NotOffered("BYTCHK = 3")
        check(result.status == GOOD, result)


def comparing():
    c = writing()
    data = fill(c, 0, 1, 61)
    has(c, c.scsi(compare_and_write(0, 1), write=data + data), "COMPARE AND WRITE")
    return c


@test("MUST", "SBC-3 5.2")
def COMPARE_AND_WRITE_writes_if_it_compares_equal():
    with comparing() as c:
        old, new = fill(c, 0, 1, 62), noise(Unit.block_len, 63)
        c.good(compare_and_write(0, 1), write=old + new)
        holds(c, 0, new)


@test("MUST", "SBC-3 5.2")
def COMPARE_AND_WRITE_tells_where_it_differs_and_writes_nothing():
    with comparing() as c:
        old, new = fill(c, 0, 1, 64), noise(Unit.block_len, 65)
        wrong = bytearray(old)
        wrong[77] ^= 0x80
        result = c.scsi(compare_and_write(0, 1), write=bytes(wrong) + new)
        check(result.status == CHECK_CONDITION and result.key == MISCOMPARE, result)
        check(result.sense[0] & 0x80 and be(result.sense[3:7]) == 77, result.sense)
        holds(c, 0, old)


@test("MUST", "SBC-3 5.2")
def COMPARE_AND_WRITE_of_no_blocks_is_no_error():
    with comparing() as c:
        c.good(compare_and_write(0, 0))


@test("SHOULD", "SBC-3 5.2")
def COMPARE_AND_WRITE_of_256_blocks_is_not_one_of_none():
    with comparing() as c:
        result = c.scsi(compare_and_write(0, 0), write=bytes(2 * 256 * Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


@test("MUST", "SBC-3 5.2")
def COMPARE_AND_WRITE_of_more_than_the_maximum_is_refused():
    with comparing() as c:
        most = limits(c)[5]
        check(most > 0, "the maximum is 0, but the command is there")
        n = most * Unit.block_len
        data = fill(c, 0, most, 66)
        c.good(compare_and_write(0, most), write=data + data)
        if most == 255:
            raise NotHere("all that a CDB can ask for is allowed")
        result = c.scsi(compare_and_write(0, most + 1), write=bytes(2 * n + 2 * Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


@test("MUST", "SBC-3 5.2")
def COMPARE_AND_WRITE_with_half_its_data_writes_nothing():
    with comparing() as c:
        old = fill(c, 0, 1, 67)
        result = c.scsi(compare_and_write(0, 1), write=old)
        check(result.status == CHECK_CONDITION or result.residual, result)
        holds(c, 0, old)


@test("MUST", "SBC-3 5.2")
def COMPARE_AND_WRITE_beyond_the_end_is_out_of_range():
    with comparing() as c:
        result = c.scsi(compare_and_write(Unit.blocks, 1), write=bytes(2 * Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == LBA_RANGE, result)


# GET LBA STATUS, and what goes together -------------------------------------------------------------------

@test("MUST", "SBC-3 5.5")
def GET_LBA_STATUS_covers_what_was_asked_for():
    with session() as c:
        result = has(c, c.scsi(get_lba_status(5, 4096), read=4096), "GET LBA STATUS")
        check(result.status == GOOD, result)
        data = result.data
        check(be(data[:4]) + 4 == len(data) and (len(data) - 8) % 16 == 0, data[:8])
        at = 5
        for i in range(8, len(data), 16):
            lba, blocks, status = struct.unpack(">QIB", data[i:i + 13])
            check(lba == at or i == 8 and lba <= at, "a gap at", at)
            check(blocks > 0 and status in (0, 1, 2), "status", status)
            at = lba + blocks
        check(at <= Unit.blocks, "beyond the end")


@test("MUST", "SBC-3 5.5")
def the_allocation_length_of_GET_LBA_STATUS_cuts_or_leaves_out_descriptors():
    with writing() as c:
        fill(c, 0, 8, 68)
        full = has(c, c.scsi(get_lba_status(0, 4096), read=4096), "GET LBA STATUS").data
        for alloc in (0, 1, 4, 8, 12, 23, 24, 25, 40, 41):
            data = c.good(get_lba_status(0, alloc), read=alloc).data
            check(len(data) <= alloc and data[8:] == full[8:len(data)], "allocation length", alloc)
            if len(data) >= 4:
                n = be(data[:4])
                check(n % 16 == 4 and 20 <= n <= len(full) - 4, "length", n)


@test("MUST", "SBC-3 5.5")
def GET_LBA_STATUS_beyond_the_end_is_out_of_range():
    with session() as c:
        has(c, c.scsi(get_lba_status(0, 24), read=24), "GET LBA STATUS")
        c.fails(LBA_RANGE, get_lba_status(Unit.blocks, 24), read=24)


@test("MUST", "SBC-3 6.6.4")
def Block_Limits_agree_with_themselves():
    with session() as c:
        page = limits(c)
        most, best = be(page[8:12]), be(page[12:16])
        check(not most or not best or best <= most, "optimal", best, "maximum", most)
        unmap_blocks, descriptors = be(page[20:24]), be(page[24:28])
        lbpu = 0xb2 in c.good(inquiry(255, 0), read=255).data[4:] and provisioning(c)[5] & 0x80
        check(bool(lbpu) == bool(unmap_blocks and descriptors), "LBPU", lbpu, unmap_blocks,
              descriptors)


@test("MUST", "SBC-3 5.22")
def SYNCHRONIZE_CACHE_takes_a_range_or_all():
    with session() as c:
        c.good(struct.pack(">BBIBHB", 0x35, 0, 0, 0, 0, 0))
        c.good(struct.pack(">BBIBHB", 0x35, 0, 4, 0, 8, 0))
        result = c.scsi(struct.pack(">BBQIBB", 0x91, 0, Unit.blocks, 1, 0, 0))
        check(result.status == GOOD or result.key == LBA_RANGE, result)
