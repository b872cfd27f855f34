"""Rules of meta contexts in the handshake."""
import struct

from nbd_rules import *


# Meta contexts --------------------------------------------------------------------------------

@test("MUST", "LIST_META_CONTEXT")
def no_query_lists_all_contexts():
    kind, found = list_meta(first=STRUCTURED_REPLY)
    check(kind == ACK and "base:allocation" in found, found)


@test("MUST", "The base: metadata namespace")
def the_wildcard_base_lists_base_allocation():
    check(set(list_meta("base:", first=STRUCTURED_REPLY)[1]) == {"base:allocation"})


@test("MUST", "LIST_META_CONTEXT")
def a_full_name_lists_just_that_context():
    check(set(list_meta("base:allocation", first=STRUCTURED_REPLY)[1]) == {"base:allocation"})


@test("OURS", "LIST_META_CONTEXT")
def a_context_found_by_two_queries_is_listed_once():
    check(set(list_meta("base:", "base:allocation", first=STRUCTURED_REPLY)[1]) ==
          {"base:allocation"})


@test("MUST", "LIST_META_CONTEXT")
def an_unknown_namespace_is_ignored():
    check(list_meta("x-unknown:thing", first=STRUCTURED_REPLY) == (ACK, {}))


@test("MUST", "The base: metadata namespace")
def an_unknown_leaf_of_base_is_ignored():
    check(list_meta("base:unknown", first=STRUCTURED_REPLY) == (ACK, {}))


@test("OURS", "LIST_META_CONTEXT")
def a_context_name_is_not_matched_by_its_beginning():
    check(list_meta("base:alloc", "bas", first=STRUCTURED_REPLY)[1] == {})


@test("SHOULD", "LIST_META_CONTEXT")
def listed_contexts_have_ID_0():
    check(set(list_meta(first=STRUCTURED_REPLY)[1].values()) == {0})


@test("OURS", "LIST_META_CONTEXT")
def contexts_may_be_listed_before_STRUCTURED_REPLY():
    kind, found = list_meta()
    check(kind == ACK and "base:allocation" in found)


@test("MUST", "EXT LIST_META_CONTEXT")
def contexts_are_listed_with_extended_headers():
    Client().want_extended().s.close()
    check(list_meta("base:", first=EXTENDED_HEADERS)[0] == ACK)


@test("MUST", "LIST_META_CONTEXT")
def LIST_META_of_an_unknown_export_fails():
    check(list_meta(first=STRUCTURED_REPLY, export=unknown_export())[0] & ERR)


@test("MUST", "LIST_META_CONTEXT")
def a_query_beyond_the_data_is_invalid():
    malformed(LIST_META, meta_data(("base:allocation",))[:-1])


@test("MUST", "LIST_META_CONTEXT")
def fewer_queries_than_counted_are_invalid():
    malformed(LIST_META, meta_data(())[:-4] + struct.pack(">I", 0xffffffff))


@test("MUST", "LIST_META_CONTEXT")
def meta_queries_without_a_count_are_invalid():
    malformed(LIST_META, meta_data(())[:-4])


@test("MUST", "LIST_META_CONTEXT")
def a_meta_export_name_beyond_the_data_is_invalid():
    malformed(SET_META, struct.pack(">I", 1000) + bytes(8))


@test("OURS", "LIST_META_CONTEXT")
def bytes_behind_the_last_query_are_invalid():
    malformed(LIST_META, meta_data(("base:",)) + b"x")


@test("OURS", "LIST_META_CONTEXT")
def a_thousand_queries_are_answered_or_refused():
    malformed(LIST_META, meta_data(("base:allocation",) * 1000), (ACK, TOO_BIG, INVALID))


@test("SHOULD", "SET_META_CONTEXT")
def SET_META_without_structured_replies_is_invalid():
    with Client() as c:
        kind = c.set_meta("base:allocation")
        offered(kind != UNSUP, "SET_META_CONTEXT")
        check(kind in (INVALID, EXT_HEADER_REQD))


@test("MUST", "SET_META_CONTEXT")
def SET_META_selects_base_allocation():
    Client().want_structured().want_allocation().s.close()


@test("SHOULD", "EXT SET_META_CONTEXT")
def SET_META_goes_with_extended_headers_alone():
    Client().want_extended().want_allocation().s.close()


@test("MUST", "The base: metadata namespace")
def the_wildcard_base_selects_nothing():
    with Client().want_structured() as c:
        check(c.set_meta("base:") == ACK and not c.contexts)


@test("MUST", "SET_META_CONTEXT")
def no_query_selects_nothing():
    with Client().want_structured() as c:
        check(c.set_meta() == ACK and not c.contexts)


@test("MUST", "SET_META_CONTEXT")
def unknown_contexts_are_not_selected():
    with Client().want_structured() as c:
        check(c.set_meta("x-unknown:a", "base:unknown") == ACK and not c.contexts)


@test("MUST", "SET_META_CONTEXT")
def a_context_queried_twice_is_selected_once():
    with Client().want_structured() as c:
        check(c.set_meta("base:allocation", "base:allocation") == ACK and len(c.contexts) == 1)


@test("MUST", "SET_META_CONTEXT")
def selected_contexts_have_different_IDs():
    names = [n for n in list_meta(first=STRUCTURED_REPLY)[1] if not n.endswith(":")]
    with Client().want_structured() as c:
        c.set_meta(*names)
        check(len(set(c.contexts.values())) == len(c.contexts) >= 1)


@test("MUST", "SET_META_CONTEXT")
def SET_META_of_an_unknown_export_fails():
    name = unknown_export()
    with Client().want_structured() as c:
        check(c.set_meta("base:allocation", export=name) & ERR)


@test("MUST", "SET_META_CONTEXT")
def a_failed_SET_META_voids_the_former():
    with Client().want_structured().want_allocation() as c:
        c.option(SET_META, meta_data(("base:allocation",))[:-1])
        no_status(c.go())


@test("MUST", "SET_META_CONTEXT")
def an_empty_SET_META_voids_the_former():
    with Client().want_structured().want_allocation() as c:
        c.set_meta()
        no_status(c.go())


@test("MUST", "SET_META_CONTEXT")
def LIST_META_does_not_void_what_was_selected():
    with Client().want_structured().want_allocation() as c:
        c.option(LIST_META, meta_data(()))
        check(c.go().request(STATUS, 0, 4096).error == 0)


@test("SHOULD", "Metadata querying")
def contexts_of_one_export_are_void_for_another():
    if Settings.other is None:
        raise NotHere("one export only (-o)")
    with Client().want_structured().want_allocation() as c:
        no_status(c.go(name=Settings.other))
