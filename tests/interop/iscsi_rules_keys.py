"""Rules of login keys: formats, results, what is refused."""
from iscsi_rules import *


def negotiated(**keys):
    """The answers, by key, of a login with these keys."""
    with Client(login=False) as c:
        p = c.login(keys, first=True)
        check(p.login_status == OK, "login status %04x" % p.login_status)
        return dict(p.pairs)


def not_understood(key, value="1"):
    with Client(login=False) as c:
        p = c.login({key: value}, first=True)
        check(p.login_status == OK and dict(p.pairs).get(key) == "NotUnderstood", p.pairs)


def bad_value(key, value):
    """An illegal value: "Reject" as the answer, or the end of the login (6.2, 7.12)."""
    with Client(login=False) as c:
        p = c.login({key: value}, first=True)
        if p.login_status == OK:
            check(dict(p.pairs).get(key) in ("Reject", "Irrelevant"), key, "is answered by",
                  dict(p.pairs).get(key))
        else:
            check(p.login_status == INITIATOR_ERROR, "login status %04x" % p.login_status)


def bad_text(text):
    with Client(login=False) as c:
        c.send(c.login_pdu(text_of(c.session_text) + text))
        try:
            p = c.get(LOGIN_RESPONSE)
        except Closed:
            return
        check(p.login_status == INITIATOR_ERROR, "login status %04x" % p.login_status)
        check(c.is_closed())


# Text format ------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 6.2")
def an_unknown_key_is_NotUnderstood():
    not_understood("X-org.example.unknown")


@test("MUST", "RFC 7143 6.2")
def an_unknown_key_without_a_prefix_is_NotUnderstood():
    not_understood("FrobnicationLength", "8192")


@test("MUST", "RFC 7143 6.1")
def a_key_name_of_63_bytes_is_taken():
    not_understood("X-" + "a" * 61)


@test("MUST", "RFC 7143 6.1")
def a_key_name_of_64_bytes_is_not():
    with Client(login=False) as c:
        p = c.login({"X-" + "a" * 62: "1"}, first=True)
        check(p.login_status == INITIATOR_ERROR, "login status %04x" % p.login_status)


@test("OURS", "RFC 7143 6.1")
def a_key_name_of_4096_bytes_does_no_harm():
    with Client(login=False) as c:
        try:
            c.login({"X-" + "a" * 4094: "1"}, first=True)
        except Closed:
            pass
    Client().__exit__()


@test("OURS", "RFC 7143 6.1")
def a_value_of_255_bytes_is_taken():
    not_understood("X-test", "v" * 255)


@test("MUST", "RFC 7143 6.2")
def an_unknown_key_with_an_empty_value_is_NotUnderstood():
    not_understood("X-test", "")


@test("MUST", "RFC 7143 6.1")
def key_names_are_case_sensitive():
    not_understood("maxburstlength", "65536")


@test("MUST", "RFC 7143 6.2")
def NotUnderstood_as_a_value_is_not_answered():
    with Client(login=False) as c:
        p = c.login({"X-test": "NotUnderstood"}, first=True)
        check(p.login_status == OK, "login status %04x" % p.login_status)


@test("OURS", "RFC 7143 6.2")
def two_hundred_unknown_keys_are_answered_or_refused():
    with Client(login=False) as c:
        p = c.login([("X-%d" % i, "1") for i in range(200)], first=True)
        if p.login_status:
            return
        answers = p.data
        while p.cont:
            p = c.login()
            answers += p.data
        check(answers.count(b"=NotUnderstood\0") == 200, answers.count(b"="), "answers")


@test("MUST", "RFC 7143 6.2")
def a_key_twice_in_one_request_is_refused():
    bad_text(b"MaxBurstLength=65536\0MaxBurstLength=65536\0")


@test("MUST", "RFC 7143 6.2")
def a_key_again_in_a_later_request_is_refused():
    with Client(login=False) as c:
        p = c.login({"MaxBurstLength": 65536}, first=True, transit=False)
        check(p.login_status == OK)
        c.refused(INITIATOR_ERROR, {"MaxBurstLength": 65536})


@test("MUST", "RFC 7143 6.1")
def text_without_an_equals_sign_is_refused():
    bad_text(b"MaxBurstLength\0")


@test("MUST", "RFC 7143 6.1")
def text_that_begins_with_an_equals_sign_is_refused():
    bad_text(b"=65536\0")


@test("SHOULD", "RFC 7143 6.1")
def text_that_does_not_end_in_NUL_is_refused():
    bad_text(b"MaxBurstLength=65536")


@test("MUST", "RFC 7143 13.5")
def the_InitiatorName_cannot_be_told_twice():
    bad_text(b"InitiatorName=iqn.2026-11.test:other\0")


@test("MUST", "RFC 7143 6.2")
def the_InitiatorName_cannot_become_another_later():
    with Client(login=False) as c:
        check(c.login(first=True, transit=False).login_status == OK)
        c.refused(INITIATOR_ERROR, {"InitiatorName": "iqn.2026-11.test:other"})


# Numbers ----------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 6.1")
def numbers_may_be_hexadecimal():
    check(negotiated(MaxBurstLength="0x10000").get("MaxBurstLength") in ("65536", "0x10000"))


@test("MUST", "RFC 7143 13.13")
def a_number_below_its_range_is_not_taken():
    bad_value("MaxBurstLength", "511")


@test("MUST", "RFC 7143 13.13")
def a_number_above_its_range_is_not_taken():
    bad_value("MaxBurstLength", "16777216")


@test("MUST", "RFC 7143 6.1")
def a_number_beyond_64_bits_is_not_taken():
    bad_value("MaxBurstLength", "18446744073709617152")


@test("MUST", "RFC 7143 6.1")
def a_negative_number_is_not_taken():
    bad_value("FirstBurstLength", "-65536")


@test("MUST", "RFC 7143 6.1")
def an_empty_number_is_not_taken():
    bad_value("MaxOutstandingR2T", "")


@test("MUST", "RFC 7143 6.1")
def a_word_is_no_number():
    bad_value("MaxBurstLength", "many")


@test("MUST", "RFC 7143 6.1")
def a_boolean_is_Yes_or_No():
    bad_value("InitialR2T", "maybe")


@test("MUST", "RFC 7143 6.1")
def booleans_are_case_sensitive():
    bad_value("ImmediateData", "yes")


@test("MUST", "RFC 7143 13.17")
def MaxOutstandingR2T_of_0_is_not_taken():
    bad_value("MaxOutstandingR2T", "0")


@test("MUST", "RFC 7143 13.20")
def ErrorRecoveryLevel_of_3_is_not_taken():
    bad_value("ErrorRecoveryLevel", "3")


@test("MUST", "RFC 7143 13.2")
def MaxConnections_of_0_is_not_taken():
    bad_value("MaxConnections", "0")


@test("MUST", "RFC 7143 13.12")
def MaxRecvDataSegmentLength_below_512_is_not_taken():
    bad_value("MaxRecvDataSegmentLength", "511")


@test("MUST", "RFC 7143 13.12")
def MaxRecvDataSegmentLength_is_declared_not_negotiated():
    answers = negotiated(MaxRecvDataSegmentLength="1048576")
    told = answers.get("MaxRecvDataSegmentLength", "8192")
    check(512 <= int(told) < 1 << 24, told)


# Results ----------------------------------------------------------------------------------------

def result(key, offer, want):
    answers = negotiated(**{key: offer})
    check(key in answers, key, "is not answered")
    check(want(answers[key]), key, offer, "is answered by", answers[key])


@test("MUST", "RFC 7143 13.13")
def MaxBurstLength_is_the_smaller():
    result("MaxBurstLength", "512", lambda v: v == "512")


@test("MUST", "RFC 7143 13.14")
def FirstBurstLength_does_not_exceed_MaxBurstLength():
    answers = negotiated(MaxBurstLength="4096", FirstBurstLength="4096")
    check(int(answers["FirstBurstLength"]) <= int(answers["MaxBurstLength"]), answers)


@test("MUST", "RFC 7143 13.10")
def InitialR2T_is_Yes_if_either_says_so():
    result("InitialR2T", "Yes", lambda v: v == "Yes")


@test("MUST", "RFC 7143 13.11")
def ImmediateData_is_No_if_either_says_so():
    result("ImmediateData", "No", lambda v: v == "No")


@test("MUST", "RFC 7143 13.15")
def DefaultTime2Wait_is_the_larger():
    result("DefaultTime2Wait", "3600", lambda v: v == "3600")


@test("MUST", "RFC 7143 13.16")
def DefaultTime2Retain_is_the_smaller():
    result("DefaultTime2Retain", "0", lambda v: v == "0")


@test("MUST", "RFC 7143 13.17")
def MaxOutstandingR2T_is_the_smaller():
    result("MaxOutstandingR2T", "1", lambda v: v == "1")


@test("MUST", "RFC 7143 13.18")
def DataPDUInOrder_is_Yes_if_either_says_so():
    result("DataPDUInOrder", "Yes", lambda v: v == "Yes")


@test("MUST", "RFC 7143 13.20")
def ErrorRecoveryLevel_is_the_smaller():
    result("ErrorRecoveryLevel", "0", lambda v: v == "0")


@test("MUST", "RFC 7143 13.20")
def ErrorRecoveryLevel_2_is_answered_by_0_to_2():
    result("ErrorRecoveryLevel", "2", lambda v: v in ("0", "1", "2"))


@test("MUST", "RFC 7143 13.1")
def digests_are_the_first_of_the_list_that_is_known():
    result("HeaderDigest", "X-other,None", lambda v: v == "None")


@test("MUST", "RFC 7143 13.1")
def CRC32C_is_known():
    result("DataDigest", "CRC32C,None", lambda v: v in ("CRC32C", "None"))


@test("MUST", "RFC 7143 6.2.1")
def the_order_of_a_list_is_the_initiators():
    for key in ("HeaderDigest", "DataDigest"):
        if negotiated(**{key: "CRC32C"}).get(key) == "CRC32C":
            check(negotiated(**{key: "CRC32C,None"}).get(key) == "CRC32C", key)
        check(negotiated(**{key: "None,CRC32C"}).get(key) == "None", key)


@test("MUST", "RFC 7143 6.2.1")
def a_list_of_nothing_known_is_not_taken():
    bad_value("HeaderDigest", "X-other")


@test("MUST", "RFC 7143 13.25")
def markers_are_not_used():
    result("OFMarker", "Yes", lambda v: v in ("No", "Reject", "NotUnderstood"))


@test("MUST", "RFC 7143 13.25")
def marker_intervals_are_irrelevant_or_rejected():
    result("IFMarkInt", "2048~8192", lambda v: v in ("Irrelevant", "Reject", "NotUnderstood"))


@test("MUST", "RFC 7143 13.23")
def TaskReporting_is_answered():
    result("TaskReporting", "FastAbort,ResponseFence,RFC3720",
           lambda v: v in ("FastAbort", "ResponseFence", "RFC3720", "NotUnderstood"))


@test("MUST", "RFC 7143 13.24")
def iSCSIProtocolLevel_is_the_smaller():
    result("iSCSIProtocolLevel", "1", lambda v: v in ("1", "0", "NotUnderstood"))


@test("MUST", "RFC 7143 13.6")
def an_initiator_cannot_tell_the_TargetAlias():
    with Client(login=False) as c:
        p = c.login({"TargetAlias": "x"}, first=True)
        check(p.login_status == INITIATOR_ERROR or dict(p.pairs).get("TargetAlias") == "Reject", p)


@test("MUST", "RFC 7143 13.3")
def SendTargets_has_no_place_in_a_login():
    with Client(login=False) as c:
        p = c.login({"SendTargets": "All"}, first=True)
        check(p.login_status == INITIATOR_ERROR or dict(p.pairs).get("SendTargets") == "Reject", p)


# Discovery --------------------------------------------------------------------------------------

# "Irrelevant when: SessionType=Discovery" (13): offers that need an answer, and what it may be.
# 6.2 allows "Irrelevant", and discourages its excessive use.
IRRELEVANT = {"MaxConnections": ("4", ("1", "2", "3", "4")),
              "InitialR2T": ("No", ("Yes", "No")),
              "ImmediateData": ("Yes", ("Yes", "No")),
              "MaxBurstLength": ("512", ("512",)),
              "FirstBurstLength": ("512", ("512",)),
              "MaxOutstandingR2T": ("1", ("1",)),
              "DataPDUInOrder": ("No", ("Yes", "No")),
              "DataSequenceInOrder": ("No", ("Yes", "No"))}


@test("MUST", "RFC 7143 6.2, 6.2.2")
def keys_that_are_irrelevant_to_discovery_are_answered_there():
    with Client(login=False, discovery=True) as c:
        p = c.login({key: offer for key, (offer, _) in IRRELEVANT.items()}, first=True)
        check(p.login_status == OK, "login status %04x" % p.login_status)
        answers = dict(p.pairs)
        for key, (_, values) in IRRELEVANT.items():
            check(answers.get(key) in (*values, "Irrelevant", "Reject"), key, "is answered by",
                  answers.get(key))
