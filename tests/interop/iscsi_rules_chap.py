"""Rules of CHAP: who has the secret gets in, and nobody else, whatever the texts look like."""
import base64
import hashlib

from iscsi_rules import *

ALGORITHMS = {5: hashlib.md5, 6: hashlib.sha1, 7: hashlib.sha256, 8: hashlib.sha3_256}


def bytes_of(text):
    if text[:2].lower() == "0b":
        return base64.b64decode(text[2:])
    check(text[:2].lower() == "0x", "no binary value:", text)
    digits = text[2:]
    return bytes.fromhex("0" * (len(digits) % 2) + digits)


def challenged(algorithms="5"):
    """(connection, answers): CHAP is agreed on, and the target has told its challenge."""
    if Settings.user is None:
        raise NotHere("no CHAP user is told (-u)")
    c = Client(login=False)
    p = c.login({"AuthMethod": "CHAP,None"}, first=True, csg=SECURITY, nsg=OPERATIONAL)
    check(p.login_status == OK and dict(p.pairs).get("AuthMethod") == "CHAP", p, p.pairs)
    check(not p.final, "the stage is over before anything is proved")
    p = c.login({"CHAP_A": algorithms}, csg=SECURITY, transit=False)
    check(p.login_status == OK and not p.final, "login status %04x" % p.login_status)
    return c, dict(p.pairs)


def response(answers, secret=None):
    algorithm = ALGORITHMS[int(answers["CHAP_A"])]
    secret = Settings.secret if secret is None else secret
    return algorithm(bytes([int(answers["CHAP_I"], 0)]) + secret
                     + bytes_of(answers["CHAP_C"])).digest()


def not_let_in(c, pairs, *more, **how):
    """These keys, and an attempt to go on, do not lead in."""
    how = {"csg": SECURITY, "nsg": OPERATIONAL, **how}
    try:
        p = c.login(pairs, *more, **how)
        check(p.login_status >> 8 == 2, "login status %04x" % p.login_status)
    except Closed:
        return
    check(c.is_closed(), "the connection stays open")


def no_response(make, algorithms="5"):
    """make(answers) are keys that do not lead in."""
    c, answers = challenged(algorithms)
    with c:
        not_let_in(c, make(answers))
    lets_in()


def lets_in(algorithms="5"):
    c, answers = challenged(algorithms)
    with c:
        p = c.login({"CHAP_N": Settings.user, "CHAP_R": "0x" + response(answers).hex()},
                    csg=SECURITY, nsg=OPERATIONAL)
        check(p.login_status == OK and p.final and p.nsg == OPERATIONAL, p)
        check(c.login().login_status == OK and c.full)
        c.ready()


@test("MUST", "RFC 7143 12.1.3")
def who_has_the_secret_gets_in():
    lets_in()


def add_algorithms():
    for number in (6, 7, 8):
        def rule(number=number):
            c, answers = challenged("%d,5" % number)
            c.s.close()
            offered(answers["CHAP_A"] == str(number), "CHAP_A=%d" % number)
            lets_in("%d,5" % number)
        rule.__name__ = "CHAP_with_algorithm_%d" % number
        test("SHOULD", "RFC 7143 12.1.3")(rule)


add_algorithms()


@test("MUST", "RFC 7143 12.1.3")
def CHAP_A_is_the_first_of_the_list_that_is_known():
    c, answers = challenged("99,200,5")
    c.s.close()
    check(answers["CHAP_A"] == "5", answers)


@test("MUST", "RFC 7143 12.1.3")
def a_list_of_no_known_algorithm_ends_the_login():
    with Client(login=False) as c:
        if Settings.user is None:
            raise NotHere("no CHAP user is told (-u)")
        c.login({"AuthMethod": "CHAP"}, first=True, csg=SECURITY, nsg=OPERATIONAL)
        not_let_in(c, {"CHAP_A": "99,200"}, transit=False)


@test("MUST", "RFC 1994 2.3")
def no_CHAP_challenge_comes_twice():
    seen = set()
    for _ in range(20):
        c, answers = challenged()
        c.s.close()
        challenge = bytes_of(answers["CHAP_C"])
        check(8 <= len(challenge) <= 1024, len(challenge), "bytes")
        check(0 <= int(answers["CHAP_I"], 0) <= 255, answers["CHAP_I"])
        seen.add(challenge)
    check(len(seen) == 20, "a challenge came twice")


@test("MUST", "RFC 7143 12.1.3")
def a_CHAP_response_may_be_in_base64():
    c, answers = challenged()
    with c:
        p = c.login({"CHAP_N": Settings.user,
                     "CHAP_R": "0b" + base64.b64encode(response(answers)).decode()},
                    csg=SECURITY, nsg=OPERATIONAL)
        check(p.login_status == OK and p.final, p)


@test("MUST", "RFC 7143 12.1.3")
def a_wrong_CHAP_secret_ends_the_login():
    no_response(lambda a: {"CHAP_N": Settings.user,
                           "CHAP_R": "0x" + response(a, b"wrong" * 4).hex()})


@test("OURS", "RFC 7143 12.1.3")
def a_wrong_CHAP_name_and_a_wrong_secret_look_alike():
    seen = []
    for user, secret in ((Settings.user, b"wrong" * 4), ("nobody", Settings.secret)):
        c, answers = challenged()
        with c:
            p = c.login({"CHAP_N": user, "CHAP_R": "0x" + response(answers, secret).hex()},
                        csg=SECURITY, nsg=OPERATIONAL)
            seen.append((p.login_status, p.data))
    check(seen[0] == seen[1] and seen[0][0] == AUTHENTICATION, seen)


def add_bad_texts():
    def good(a):
        return response(a).hex()
    texts = {
        "no_CHAP_R": lambda a: {"CHAP_N": Settings.user},
        "no_CHAP_N": lambda a: {"CHAP_R": "0x" + good(a)},
        "an_empty_CHAP_R": lambda a: {"CHAP_N": Settings.user, "CHAP_R": ""},
        "a_CHAP_R_of_nothing": lambda a: {"CHAP_N": Settings.user, "CHAP_R": "0x"},
        "a_CHAP_R_without_a_prefix": lambda a: {"CHAP_N": Settings.user, "CHAP_R": good(a)},
        "a_CHAP_R_that_is_short": lambda a: {"CHAP_N": Settings.user, "CHAP_R": "0x" + good(a)[:-2]},
        "a_CHAP_R_that_is_long": lambda a: {"CHAP_N": Settings.user,
                                            "CHAP_R": "0x" + good(a) + "00"},
        "a_CHAP_R_of_7000_digits": lambda a: {"CHAP_N": Settings.user,
                                              "CHAP_R": "0x" + good(a) * 220},
        "a_CHAP_R_with_other_letters": lambda a: {"CHAP_N": Settings.user,
                                                  "CHAP_R": "0x" + "zz" * 16},
        "a_CHAP_R_of_bad_base64": lambda a: {"CHAP_N": Settings.user, "CHAP_R": "0b!!!!"},
        "a_CHAP_N_of_7000_bytes": lambda a: {"CHAP_N": "x" * 7000, "CHAP_R": "0x" + good(a)},
        "an_empty_CHAP_N": lambda a: {"CHAP_N": "", "CHAP_R": "0x" + good(a)},
        "CHAP_R_twice": lambda a: [("CHAP_N", Settings.user), ("CHAP_R", "0x" + "00" * 16),
                                   ("CHAP_R", "0x" + good(a))],
        "CHAP_A_again": lambda a: {"CHAP_A": "5"},
        "the_challenge_itself": lambda a: {"CHAP_N": Settings.user, "CHAP_R": a["CHAP_C"]},
    }
    for name, make in texts.items():
        def rule(make=make):
            no_response(make)
        rule.__name__ = name + "_does_not_lead_in"
        test("MUST", "RFC 7143 12.1.3")(rule)


add_bad_texts()


@test("MUST", "RFC 7143 12.1.3")
def a_CHAP_challenge_of_the_targets_own_is_not_answered():
    # Who mirrors a challenge would have the target compute the response to it.
    def mirrored(a):
        return {"CHAP_N": Settings.user, "CHAP_R": "0x" + response(a).hex(),
                "CHAP_I": a["CHAP_I"], "CHAP_C": a["CHAP_C"]}
    c, answers = challenged()
    with c:
        try:
            p = c.login(mirrored(answers), csg=SECURITY, nsg=OPERATIONAL)
        except Closed:
            return
        check(p.login_status >> 8 == 2, "login status %04x" % p.login_status)
        check("CHAP_R" not in dict(p.pairs), "the response is told")


def no_way_round(*logins):
    if Settings.user is None:
        raise NotHere("no CHAP user is told (-u)")
    with Client(login=False) as c:
        for i, (pairs, how) in enumerate(logins):
            try:
                p = c.login(pairs, first=i == 0, **how)
            except Closed:
                return
            check(not c.full, "full feature phase without a proof")
            if p.login_status:
                check(p.login_status >> 8 == 2 and c.is_closed(), p)
                return
        check(False, "the login goes on")


@test("MUST", "RFC 7143 6.3.2")
def CHAP_cannot_be_left_out_by_beginning_in_the_operational_stage():
    no_way_round(({}, {}))


@test("MUST", "RFC 7143 6.3.2")
def CHAP_cannot_be_left_out_by_AuthMethod_None():
    no_way_round(({"AuthMethod": "None"}, {"csg": SECURITY, "nsg": OPERATIONAL}), ({}, {}))


@test("MUST", "RFC 7143 6.3.2")
def CHAP_cannot_be_left_out_by_going_on():
    no_way_round(({"AuthMethod": "CHAP"}, {"csg": SECURITY, "nsg": FULL}),
                 ({}, {"csg": SECURITY, "nsg": FULL}), ({}, {}))


@test("MUST", "RFC 7143 6.3.2")
def CHAP_cannot_be_left_out_after_the_challenge():
    c, _ = challenged()
    with c:
        not_let_in(c, {})
