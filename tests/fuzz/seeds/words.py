"""What people write: URLs, files of reservations; and CHAP, whose steps are text."""


def urls():
    for i, url in enumerate((
            "iscsi://h/iqn.2001-04.com.example:disk/0", "iscsi://user@h:3261/iqn.x/16383", "iscsi://[2001:db8::1]/t/1",
            "iscsi://[::1]:860/t", "iscsi://h", "iscsi://h/", "iscsi://h/t/", "iscsi://h/t/16384", "iscsi://user:pw@h/t/0",
            "iscsi://user%pw@h/t/0", "iscsi://h:0/t/0", "iscsi://h:99999/t/0", "iscsi://h%20x/t%2Fu/0", "iscsi://%00/t/0",
            "iscsi:///t/0", "http://h/t/0", "iscsi://[::1/t/0", "iscsi://[::1]x/t/0", "iscsi://" + "h" * 300 + "/t/0")):
        yield "%02d" % i, b"\xff" + url.encode()


HEADING, HEADING_1 = "nbd-iscsi-gateway reservations 2\n", "nbd-iscsi-gateway reservations 1\n"


def stores():
    line_1 = "registration 0x00000000000000ab 1 0x00023d000001 %s iqn.1993-08.org.debian:01:%s\n"
    line = line_1[:-1] + " iqn.2001-04.com.example:disk\n"
    for name, content in (
            ("none", "type 0\n"), ("registered", "type 0\n" + line % ("-", "ab")),
            ("reserved", "type 5\n" + line % ("holder", "ab") + line % ("-", "cd")),
            ("all-registrants", "type 7\n" + line % ("-", "ab") + line % ("-", "cd")),
            ("two-holders", "type 1\n" + line % ("holder", "ab") + line % ("holder", "cd")),
            ("unknown-type", "type 9\n"), ("no-type", line % ("-", "ab")), ("many", "type 0\n" + line % ("-", "a") * 300),
            ("long-name", "type 0\n" + line % ("-", "a" * 300)), ("no-key", "type 0\n" + line.replace("ab 1", "00 1") % ("-", "a"))):
        yield name, b"\0" + (HEADING + content).encode()
    yield "version-1", b"\0" + (HEADING_1 + "type 5\n" + line_1 % ("holder", "ab")).encode()
    yield "no-target", b"\0" + (HEADING + "type 0\n" + line_1 % ("-", "ab")).encode()
    yield "other-heading", b"\0something else\n"
    yield "own-end", b"\1" + HEADING.encode() + b"type 0\nend 0x00000000\n"
    yield "empty", b"\1"


def configurations():
    yield "global", b"threads = 2\nlisten-nbd = \"127.0.0.1:10809\"\nread-only = yes; block-size: 4096\noutage-timeout = -1\n"
    yield "unknown", b"colour = blue\ntarget iqn.x { colour = blue }\n"
    yield "device", b'device d { uri = "mem:1M"; read-only = no; block-size = 512; serial = s; naa = 3000000000000001; shared = yes }\n'
    yield "device-wrong", b"device a:b { uri = nowhere }\ndevice c { }\ndevice c { uri = \"mem:x\"; naa = 1 }\n"
    yield "export", b'nbd-export e { device = "mem:1M"; description = "a disk"; tls-only = yes; allow = "CN=x" }\n'
    yield "target", b"""auth-group a { initiator-name = "iqn.i"; initiator-portal = 192.0.2.0/24; initiator-portal = "[2001:db8::]/32" }
portal-group p { listen = "127.0.0.1:0"; tag = 1; discovery-auth-group = a; discovery-filter = portal }
target "iqn.2001-04.com.example:disk" { alias = x; auth-group = a; portal-group = p
  lun 0 { device = "mem:1M" }
  lun 16384 { device = "mem:1M" }
  map { initiator = "iqn.i"; lun 0 { device = "mem:2M"; read-only = yes } } }
"""
    yield "chap", b"auth-group a { chap { user = u; secret-file = /dev/null } chap-mutual { user = u; secret = open } }\n"
    yield "redirect", b"portal-group p { listen = 0.0.0.0; redirect = \"h:1\" }\ntarget t { redirect-permanent = x; offline = yes }\n"
    yield "json", b'{"device": {"d": {"uri": "mem:1M", "read-only": true}}, "a": [1, "b", null, {"c": []}]}'
    yield "texts", b"a = \"x\\n\\t\\u00e9\\\"\"\nb = 'y'\nc = <<END\nlines\nof text\nEND\n/* a /* nested */ comment */ d: e, f g;\n"
    yield "deep", b"a { " * 40 + b"}" * 40
    yield "arrays", b"a = " + b"[" * 40 + b"]" * 40
    yield "open", b"a { b = \"text"
    yield "open-comment", b"/* /* */"
    yield "closed", b"}}]"
    yield "not-utf-8", b"\xff\xfe = \x00\n"
    yield "include", b'.include "/etc/passwd"\na = ${HOME}\n'
    yield "long", b"k" * 5000 + b" = " + b"v" * 5000


def chap():
    """Flags (INITIATOR = 1, MUTUAL = 2, MD5_ONLY = 4 of fuzz_chap.c), then a line per step."""
    for flags in range(8):
        yield "honest-%d" % flags, bytes([flags]) + b"!\n!\n!\n"
    yield "challenge", b"\1CHAP_A=5\tCHAP_I=17\tCHAP_C=0x" + b"ab" * 16 + b"\t\n"
    yield "challenge-base64", b"\1CHAP_A=7\tCHAP_I=0\tCHAP_C=0b" + b"QUJD" * 8 + b"\t\n"
    yield "reflected", b"\3CHAP_A=5\tCHAP_I=17\tCHAP_C=0x" + b"ab" * 16 + b"\t\nCHAP_N=storage\tCHAP_R=0x" + b"00" * 16 + b"\t\n"
    yield "response", b"\0CHAP_A=5,6,7,8\t\nCHAP_N=alice\tCHAP_R=0x" + b"00" * 16 + b"\t\n"
    yield "response-mutual", (b"\2CHAP_A=7\t\n!CHAP_I=1\tCHAP_C=0x" + b"cd" * 16 + b"\t\n")
    yield "nobody", b"\0CHAP_A=5\t\nCHAP_N=eve\tCHAP_R=0x" + b"00" * 16 + b"\t\n"
    yield "no-algorithm", b"\0CHAP_A=99\t\n"
    yield "long", b"\1CHAP_A=5\tCHAP_I=1\tCHAP_C=0x" + b"ab" * 1025 + b"\t\n"
    yield "number", b"\1CHAP_A=5\tCHAP_I=256\tCHAP_C=0xabcd\t\n"


def seeds():
    for name, content in urls():
        yield "iscsi_url", name, content
    for name, content in configurations():
        yield "conf", name, content
    for name, content in stores():
        yield "reservation_store", name, content
    for name, content in chap():
        yield "chap", name, content
