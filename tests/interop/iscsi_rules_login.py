"""Rules of the login phase: stages, flags, numbers, identities, what ends it."""
from iscsi_rules import *


def begun(**how):
    return Client(login=False, **how)


# The way in ----------------------------------------------------------------------------------

@test("MUST", "RFC 7143 6.3")
def one_request_from_the_operational_stage_leads_to_full_feature():
    with begun() as c:
        p = c.login(first=True)
        check(p.login_status == OK and p.final and p.csg == OPERATIONAL and p.nsg == FULL, p)


@test("MUST", "RFC 7143 6.3")
def one_request_may_lead_from_the_security_stage_to_full_feature():
    with begun() as c:
        p = c.login({"AuthMethod": "None"}, first=True, csg=SECURITY, nsg=FULL)
        check(p.login_status == OK, "status %04x" % p.login_status)
        check(not p.final or p.nsg in (OPERATIONAL, FULL), p)


@test("MUST", "RFC 7143 6.3")
def both_stages_one_after_the_other():
    with begun() as c:
        p = c.login({"AuthMethod": "None"}, first=True, csg=SECURITY, nsg=OPERATIONAL)
        check(p.final and p.csg == SECURITY and p.nsg == OPERATIONAL, p)
        p = c.login({"InitialR2T": "Yes"})
        check(p.login_status == OK and c.full, p)


@test("MUST", "RFC 7143 13.1")
def AuthMethod_None_is_answered():
    with begun() as c:
        p = c.login({"AuthMethod": "KRB5,SRP,None"}, first=True, csg=SECURITY, nsg=OPERATIONAL)
        check(dict(p.pairs).get("AuthMethod") == "None", p.pairs)


@test("MUST", "RFC 7143 11.13.5")
def authentication_methods_that_the_target_lacks_end_in_0201():
    with begun() as c:
        c.refused((AUTHENTICATION, INITIATOR_ERROR), {"AuthMethod": "X-org.example"}, first=True,
                  csg=SECURITY, nsg=OPERATIONAL)


@test("MUST", "RFC 7143 11.12.1")
def the_target_does_not_leave_a_stage_unasked():
    with begun() as c:
        p = c.login({"InitialR2T": "Yes"}, first=True, transit=False)
        check(p.login_status == OK and not p.final and p.csg == OPERATIONAL, p)
        check(p.flags & 3 == 0, "NSG without T")
        p = c.login()
        check(c.full, p)


@test("MUST", "RFC 7143 11.13")
def the_response_has_the_ISID_of_the_request():
    with begun() as c:
        check(c.login(first=True).isid == c.isid)


@test("MUST", "RFC 7143 11.13")
def a_refusal_has_the_ISID_of_the_request():
    with begun() as c:
        check(c.login({"InitiatorName": INITIATOR, "TargetName": "iqn.2026-11.test:nobody"}).isid
              == c.isid)


@test("MUST", "RFC 7143 11.13.2")
def the_active_version_is_0():
    with begun() as c:
        p = c.login(first=True)
        check(p.header[2] == 0 and p.header[3] == 0, p)


@test("MUST", "RFC 7143 11.13.3")
def TSIH_comes_with_the_final_response_only():
    with begun() as c:
        p = c.login(first=True, transit=False)
        check(p.tsih == 0, "TSIH", p.tsih, "before the end")
        check(c.login().tsih != 0)


@test("MUST", "RFC 7143 13.9")
def the_first_response_tells_the_portal_group():
    with begun() as c:
        p = c.login(first=True, transit=False)
        tag = dict(p.pairs).get("TargetPortalGroupTag", "")
        check(tag.isdigit() and 0 <= int(tag) <= 65535, p.pairs)


@test("MUST", "RFC 7143 11.13.4")
def StatSN_begins_anywhere_and_goes_up_by_one():
    with begun() as c:
        c.login(first=True, transit=False)
        c.login(transit=False)      # the client checks StatSN
        c.login()
        c.lives()


@test("MUST", "RFC 7143 11.12.8")
def login_requests_are_immediate_and_use_up_no_CmdSN():
    with begun(cmd_sn=0xfffffffe) as c:
        p = c.login(first=True, transit=False)
        check(p.exp_cmd_sn == 0xfffffffe, "ExpCmdSN %#x" % p.exp_cmd_sn)
        p = c.login()
        check(p.exp_cmd_sn == 0xfffffffe, "ExpCmdSN %#x" % p.exp_cmd_sn)
        c.ready()


@test("MUST", "RFC 7143 11.12.8")
def the_first_command_has_the_CmdSN_of_the_login():
    with begun(cmd_sn=77) as c:
        c.enter()
        check(c.exp_cmd_sn == 77, "ExpCmdSN", c.exp_cmd_sn)
        c.ready()


@test("MUST", "RFC 7143 11.13.4")
def the_window_is_open_after_login():
    with Client() as c:
        check(not before(c.max_cmd_sn, c.cmd_sn), "MaxCmdSN %#x, CmdSN %#x" % (c.max_cmd_sn,
                                                                             c.cmd_sn))


@test("MUST", "RFC 7143 11.1")
def a_login_request_may_come_byte_by_byte():
    with begun() as c:
        for byte in c.login_pdu(text_of(c.session_text)):
            c.send(bytes([byte]))
        check(c.get(LOGIN_RESPONSE).login_status == OK)


@test("MUST", "RFC 7143 11.1")
def requests_behind_the_login_request_are_not_lost():
    with begun() as c:
        c.stat_sn = 0
        login = c.login_pdu(text_of(c.session_text))
        c.cmd_sn += 0
        ping = c.pdu(NOP_OUT, itt=99, immediate=True, fields={20: NO_TAG, 24: c.cmd_sn, 28: 1})
        c.stat_sn = None
        c.send(login + ping)
        check(c.get(LOGIN_RESPONSE).login_status == OK)
        c.full = True
        c.get(NOP_IN, 99)


# C bit -----------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 6.2")
def text_may_come_in_pieces():
    with begun() as c:
        text = text_of(c.session_text) + text_of({"MaxBurstLength": 65536})
        for at in range(0, len(text) - 50, 50):
            p = c.login(text[at:at + 50], transit=False, cont=True)
            check(p.login_status == OK and not p.final and not p.cont, p)
            check(p.data == b"", "text before the initiator's is complete")
        p = c.login(text[at + 50:])
        check(p.login_status == OK and c.full and c.keys.get("MaxBurstLength") == "65536", p.pairs)


@test("MUST", "RFC 7143 6.2")
def a_piece_may_end_within_a_key():
    with begun() as c:
        text = text_of(c.session_text)
        at = text.index(b"TargetName") + 4
        check(c.login(text[:at], transit=False, cont=True).login_status == OK)
        check(c.login(text[at:]).login_status == OK and c.full)


@test("MUST", "RFC 7143 11.12.2")
def T_and_C_together_are_refused():
    with begun() as c:
        c.refused(INITIATOR_ERROR, text_of(c.session_text), flags=F | C | OPERATIONAL << 2 | FULL)


@test("OURS", "RFC 7143 6.2")
def pieces_without_end_are_cut_off():
    with begun() as c:
        piece = b"X-test=" + b"y" * 8000
        for _ in range(200):
            try:
                p = c.login(piece, transit=False, cont=True)
            except Closed:
                return
            if p.login_status:
                check(p.login_status >> 8 in (2, 3) and c.is_closed(), p)
                return
    raise AssertionError("1.6 MB of login text are taken")


@test("OURS", "RFC 7143 6.2")
def empty_requests_without_end_are_cut_off():
    with begun() as c:
        c.login(first=True, transit=False)
        for _ in range(2000):
            try:
                if c.login(transit=False).login_status:
                    return
            except Closed:
                return
    raise AssertionError("2000 empty requests are answered")


# Flags and stages -------------------------------------------------------------------------------

def wrong_flags(flags):
    with begun() as c:
        c.refused((INITIATOR_ERROR, INVALID_DURING_LOGIN), text_of(c.session_text), flags=flags)


@test("MUST", "RFC 7143 11.12.3")
def NSG_2_is_refused():
    wrong_flags(F | OPERATIONAL << 2 | 2)


@test("MUST", "RFC 7143 11.12.3")
def CSG_2_is_refused():
    wrong_flags(F | 2 << 2 | FULL)


@test("MUST", "RFC 7143 11.12.3")
def CSG_3_is_refused():
    wrong_flags(F | FULL << 2 | FULL)


@test("MUST", "RFC 7143 11.12.3")
def NSG_before_CSG_is_refused():
    wrong_flags(F | OPERATIONAL << 2 | SECURITY)


@test("MUST", "RFC 7143 11.12.3")
def NSG_equal_to_CSG_is_refused():
    wrong_flags(F | OPERATIONAL << 2 | OPERATIONAL)


@test("MUST", "RFC 7143 6.3")
def a_stage_cannot_be_skipped_within_the_login():
    with begun() as c:
        check(c.login(first=True, transit=False).login_status == OK)
        c.refused((INITIATOR_ERROR, INVALID_DURING_LOGIN), csg=SECURITY, nsg=OPERATIONAL)


@test("MUST", "RFC 7143 6.3")
def the_stage_after_a_transition_is_the_one_agreed_on():
    with begun() as c:
        p = c.login({"AuthMethod": "None"}, first=True, csg=SECURITY, nsg=OPERATIONAL)
        check(p.final, p)
        c.refused((INITIATOR_ERROR, INVALID_DURING_LOGIN), csg=SECURITY, nsg=OPERATIONAL)


@test("MUST", "RFC 7143 11.12.4")
def a_version_that_is_too_high_is_refused_with_0205():
    with begun() as c:
        c.refused(UNSUPPORTED_VERSION, text_of(c.session_text), version=(2, 1))


@test("MUST", "RFC 7143 11.12.4")
def a_range_of_versions_with_0_in_it_is_taken():
    with begun() as c:
        check(c.login(first=True, version=(5, 0)).login_status == OK)


# Numbers that must not change -------------------------------------------------------------------

def changed(**what):
    with begun() as c:
        check(c.login(first=True, transit=False).login_status == OK)
        itt = what.pop("itt", None)
        for name, value in what.items():
            setattr(c, name, value)
        c.send(c.login_pdu(itt=itt))
        try:
            p = c.get(LOGIN_RESPONSE)
        except Closed:
            return
        check(p.login_status in (INITIATOR_ERROR, INVALID_DURING_LOGIN, NO_SESSION),
              "status %04x" % p.login_status)
        check(c.is_closed())


@test("MUST", "RFC 7143 11.12.5")
def the_ISID_must_not_change():
    changed(isid=0x800000000042)


@test("MUST", "RFC 7143 11.12.6")
def the_TSIH_must_not_change():
    changed(tsih=0x1234)


@test("MUST", "RFC 7143 6.3")
def the_initiator_task_tag_must_not_change():
    changed(itt=0x12345678)


@test("MUST", "RFC 7143 11.12.7")
def the_CID_must_not_change():
    changed(cid=77)


# Who and what for --------------------------------------------------------------------------------

@test("MUST", "RFC 7143 13.5")
def without_InitiatorName_0207():
    with begun() as c:
        c.refused(MISSING_PARAMETER, {"TargetName": Settings.target})


@test("MUST", "RFC 7143 13.5")
def without_any_text_0207():
    with begun() as c:
        c.refused(MISSING_PARAMETER)


@test("MUST", "RFC 7143 13.4")
def without_TargetName_0207():
    with begun() as c:
        c.refused(MISSING_PARAMETER, {"InitiatorName": INITIATOR})


@test("MUST", "RFC 7143 13.4")
def an_unknown_target_0203():
    with begun() as c:
        c.refused(NOT_FOUND, {"InitiatorName": INITIATOR,
                              "TargetName": "iqn.2026-11.test:nobody"})


@test("OURS", "RFC 7143 4.2.7.1")
def names_compare_in_lower_case():
    with begun() as c:
        check(c.login({"InitiatorName": INITIATOR.upper(),
                       "TargetName": Settings.target.upper()}).login_status == OK)


@test("MUST", "RFC 7143 4.2.7.1")
def a_name_may_have_223_bytes():
    with begun() as c:
        check(c.login({"InitiatorName": INITIATOR.ljust(223, "x"),
                       "TargetName": Settings.target}).login_status == OK)


@test("OURS", "RFC 7143 4.2.7.1")
def a_name_of_224_bytes_is_refused():
    with begun() as c:
        c.refused(INITIATOR_ERROR, {"InitiatorName": INITIATOR.ljust(224, "x"),
                                    "TargetName": Settings.target})


@test("OURS", "RFC 7143 4.2.7.2")
def an_InitiatorName_of_no_known_form_is_refused():
    with begun() as c:
        c.refused(INITIATOR_ERROR, {"InitiatorName": "somebody", "TargetName": Settings.target})


@test("MUST", "RFC 7143 4.2.7.2")
def eui_and_naa_names_are_names():
    for name in ("eui.02004567a425678d", "naa.52004567ba64678d",
                 "naa.62004567ba64678d0123456789abcdef"):
        with begun() as c:
            check(c.login({"InitiatorName": name,
                           "TargetName": Settings.target}).login_status == OK, name)


@test("MUST", "RFC 7143 13.21")
def without_SessionType_the_session_is_normal():
    with begun() as c:
        check(c.login({"InitiatorName": INITIATOR, "TargetName": Settings.target}).login_status
              == OK)
        c.ready()


@test("MUST", "RFC 7143 13.21")
def an_unknown_SessionType_is_refused():
    with begun() as c:
        c.refused((SESSION_TYPE, INITIATOR_ERROR), {**dict(c.session_text), "SessionType": "Other"})


@test("MUST", "RFC 7143 13.4")
def a_discovery_session_needs_no_TargetName():
    with Client(discovery=True) as c:
        c.text({"SendTargets": "All"})


@test("MUST", "RFC 7143 11.12.6")
def a_TSIH_of_no_session_is_020A():
    with begun(tsih=0x4321) as c:
        c.refused(NO_SESSION, text_of(c.session_text))


@test("MUST", "RFC 7143 13.2")
def no_second_connection_where_MaxConnections_is_1():
    with Client(keys={"MaxConnections": 1}) as first:
        with begun(isid=first.isid, tsih=first.tsih) as c:
            c.cid = 2
            c.refused((TOO_MANY_CONNECTIONS, 0x208), text_of(c.session_text))
        first.lives()


@test("MUST", "RFC 7143 6.3.5")
def the_same_ISID_and_TSIH_0_replace_the_session():
    with Client() as old:
        with Client(isid=old.isid) as new:
            check(old.is_closed(), "the old session lives on")
            new.ready()


@test("MUST", "RFC 7143 4.4.1")
def another_ISID_is_another_session():
    with Client(isid=0x800000000001) as one, Client(isid=0x800000000002) as other:
        check(one.tsih != other.tsih, "one TSIH for two sessions")
        one.lives()
        other.lives()


# What is no login -------------------------------------------------------------------------------

def before_login(*pdus):
    with begun() as c:
        c.stat_sn = 0
        for pdu in pdus:
            c.send(pdu(c))
        try:
            p = c.get()
        except Closed:
            return
        check(p.op in (LOGIN_RESPONSE, REJECT), p)
        check(p.op == REJECT or p.login_status >> 8 == 2, p)
        check(c.is_closed())


@test("MUST", "RFC 7143 6.3")
def a_command_before_login_ends_the_connection():
    before_login(lambda c: c.command_pdu(TUR))


@test("MUST", "RFC 7143 6.3")
def a_ping_before_login_ends_the_connection():
    before_login(lambda c: c.pdu(NOP_OUT, immediate=True, fields={20: NO_TAG}))


@test("MUST", "RFC 7143 6.3")
def a_text_request_before_login_ends_the_connection():
    before_login(lambda c: c.text_pdu({"SendTargets": "All"}))


@test("MUST", "RFC 7143 6.3")
def an_unknown_opcode_before_login_ends_the_connection():
    before_login(lambda c: c.pdu(0x1c))


@test("MUST", "RFC 7143 6.3")
def a_command_within_the_login_ends_it():
    with begun() as c:
        c.login(first=True, transit=False)
        c.send(c.command_pdu(TUR))
        try:
            p = c.get()
        except Closed:
            return
        check(p.op == LOGIN_RESPONSE and p.login_status in (INITIATOR_ERROR, INVALID_DURING_LOGIN)
              or p.op == REJECT, p)
        check(c.is_closed())


@test("MUST", "RFC 7143 6.3")
def a_login_request_in_full_feature_phase_is_a_protocol_error():
    with Client() as c:
        sent = c.login_pdu(text_of(c.session_text))
        c.send(sent)
        try:
            p = c.get(REJECT)
        except Closed:
            return
        check(p.response == R_PROTOCOL and p.data[:48] == sent[:48], p)


@test("MUST", "RFC 7143 11.12")
def more_than_8192_bytes_in_a_login_request_end_the_connection():
    with begun() as c:
        try:
            c.send(c.login_pdu(b"X-a=" + b"b" * 9000 + b"\0" + text_of(c.session_text)))
            p = c.get(LOGIN_RESPONSE)
        except Closed:
            return
        check(p.login_status >> 8 == 2, "status %04x" % p.login_status)
        check(c.is_closed())


@test("OURS", "RFC 7143 11.2.1.6")
def a_login_request_that_claims_16_MiB_is_not_waited_for():
    with begun() as c:
        c.send(c.login_pdu(length=0xfffffc)[:48])
        try:
            check(c.get(LOGIN_RESPONSE).login_status >> 8 == 2)
        except Closed:
            pass


@test("OURS", "RFC 7143 11.12")
def a_login_request_with_additional_header_segments_is_not_taken():
    with begun() as c:
        pdu = bytearray(c.login_pdu(text_of(c.session_text)))
        pdu[4] = 2
        pdu[48:48] = bytes(8)
        c.send(bytes(pdu))
        try:
            check(c.get(LOGIN_RESPONSE).login_status >> 8 == 2)
        except Closed:
            pass
