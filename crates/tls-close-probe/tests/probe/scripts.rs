//! What servers of each protocol say, from its specification.

#[derive(Clone, Copy)]
pub(crate) enum Step {
    Say(&'static [u8]),
    /// Fails the connection unless the client sends exactly this.
    Hear(&'static [u8]),
}

use Step::{Hear, Say};

const EHLO: Step = Hear(b"EHLO [127.0.0.1]\r\n");
const XMPP_STREAM: Step = Hear(
    b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
      xmlns:stream='http://etherx.jabber.org/streams'>",
);
const XMPP_STARTTLS: Step = Hear(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
const XMPP_HEADER: Step = Say(
    b"<?xml version='1.0'?><stream:stream from='localhost' id='1' version='1.0' \
      xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
);
/// MessageID 1, ExtendedRequest, requestName.
const LDAP_REQUEST: Step = Hear(b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
const SSL_REQUEST: Step = Hear(b"\x00\x00\x00\x08\x04\xd2\x16\x2f");
/// CLIENT_PROTOCOL_41, CLIENT_SSL and CLIENT_SECURE_CONNECTION, 16 MiB, utf8.
const MYSQL_REQUEST: Step = Hear(
    b"\x20\x00\x00\x01\x00\x8a\x00\x00\x00\x00\x00\x01\x21\
      \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
);

/// Each protocol, in the forms that servers use.
pub(crate) const GOOD: &[(&str, &[Step])] = &[
    (
        "smtp",
        &[
            Say(b"220 mx.example.com ESMTP\r\n"),
            EHLO,
            Say(b"250-mx.example.com\r\n250-SIZE 1000\r\n250-starttls\r\n250 HELP\r\n"),
            Hear(b"STARTTLS\r\n"),
            Say(b"220 ready\r\n"),
        ],
    ),
    (
        "smtp",
        &[
            // A greeting of several lines, and each line in pieces.
            Say(b"220-mx.example.com\r\n220-no spam\r"),
            Say(b"\n22"),
            Say(b"0\r\n"),
            EHLO,
            Say(b"250-mx.example.com\r\n250 STARTTLS\r\n"),
            Hear(b"STARTTLS\r\n"),
            Say(b"220-ready\r\n220 to go\r\n"),
        ],
    ),
    (
        "imap",
        &[
            Say(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
            Hear(b"a1 STARTTLS\r\n"),
            Say(b"* CAPABILITY IMAP4rev1\r\na1 OK begin\r\n"),
        ],
    ),
    (
        "pop3",
        &[
            Say(b"+OK <1@example.com>\r\n"),
            Hear(b"STLS\r\n"),
            Say(b"+OK\r\n"),
        ],
    ),
    (
        "ftp",
        &[
            Say(b"120 in 1 minute\r\n"),
            // The lines between may look like anything.
            Say(b"220-Welcome\r\n230 not the end\r\n220-nor this\r\n220 ready\r\n"),
            Hear(b"AUTH TLS\r\n"),
            Say(b"234 begin\r\n"),
        ],
    ),
    (
        "ldap",
        &[
            LDAP_REQUEST,
            Say(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
        ],
    ),
    (
        "ldap",
        &[
            LDAP_REQUEST,
            // Long lengths, as Active Directory writes them, in pieces; with the responseName.
            Say(b"\x30\x84\x00\x00"),
            Say(b"\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\x04\x00"),
            Say(b"\x8a\x161.3.6.1.4.1.1466.20037"),
        ],
    ),
    (
        "xmpp",
        &[
            XMPP_STREAM,
            XMPP_HEADER,
            Say(b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"),
            Say(b"<required/></starttls></stream:feat"),
            Say(b"ures>"),
            XMPP_STARTTLS,
            Say(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        ],
    ),
    (
        "xmpp",
        &[
            XMPP_STREAM,
            // The stream's namespace as the default one.
            Say(b"<stream xmlns='http://etherx.jabber.org/streams' version='1.0'>\n<features>"),
            Say(b"<x:starttls xmlns:x='urn:ietf:params:xml:ns:xmpp-tls'/></features>"),
            XMPP_STARTTLS,
            Say(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'></proceed>"),
        ],
    ),
    ("postgres", &[SSL_REQUEST, Say(b"S")]),
    (
        "mysql",
        &[
            Say(
                b"\x4a\x00\x00\x00\x0a8.0.36\0\x01\0\0\0abcdefgh\0\xff\xff\x21\x02\x00\xff\xdf\
                  \x15\0\0\0\0\0\0\0\0\0\0ABCDEFGHIJKL\0caching_sha2_password\0",
            ),
            MYSQL_REQUEST,
        ],
    ),
    (
        "sieve",
        &[
            Say(
                b"\"IMPLEMENTATION\" \"x\"\r\n\"SIEVE\" {6+}\r\nOK\r\nab\r\n\"starttls\"\r\nOK\r\n",
            ),
            Hear(b"STARTTLS\r\n"),
            Say(b"OK \"begin\"\r\n"),
        ],
    ),
];

/// What each protocol's server says that has no TLS, and a part of what is reported of it.
pub(crate) const BAD: &[(&str, &[Step], &str)] = &[
    ("smtp", &[Say(b"554 no\r\n")], "refused: `554 no`"),
    ("smtp", &[Say(b"220 a\r\n"), EHLO, Say(b"250 a\r\n")], "does not offer STARTTLS"),
    // The first line of the answer is the server's name.
    ("smtp", &[Say(b"220 a\r\n"), EHLO, Say(b"250 STARTTLS\r\n")], "does not offer STARTTLS"),
    (
        "smtp",
        &[
            Say(b"220 a\r\n"),
            EHLO,
            Say(b"250-a\r\n250 STARTTLS\r\n"),
            Hear(b"STARTTLS\r\n"),
            Say(b"454 not now\r\n"),
        ],
        "refused: `454 not now`",
    ),
    ("smtp", &[Say(b"SSH-2.0-OpenSSH_9.6\r\n")], "unexpected answer: `SSH-2.0-OpenSSH_9.6`"),
    ("imap", &[Say(b"* BYE busy\r\n")], "refused: `* BYE busy`"),
    ("imap", &[Say(b"* PREAUTH hello\r\n")], "refused: `* PREAUTH hello`"),
    (
        "imap",
        &[Say(b"* OK\r\n"), Hear(b"a1 STARTTLS\r\n"), Say(b"a1 BAD what\r\n")],
        "refused: `a1 BAD what`",
    ),
    ("pop3", &[Say(b"+OK\r\n"), Hear(b"STLS\r\n"), Say(b"-ERR no\r\n")], "refused: `-ERR no`"),
    (
        "ftp",
        &[Say(b"220 a\r\n"), Hear(b"AUTH TLS\r\n"), Say(b"530 log in\r\n")],
        "refused: `530 log in`",
    ),
    (
        "ldap",
        &[
            LDAP_REQUEST,
            Say(b"\x30\x0e\x02\x01\x01\x78\x09\x0a\x01\x02\x04\x00\x04\x02no"),
        ],
        "refused: result 2, `no`",
    ),
    ("ldap", &[LDAP_REQUEST, Say(b"\x30\x80\x00\x00")], "unexpected answer"),
    ("ldap", &[LDAP_REQUEST, Say(b"HTTP/1.1 400\r\n")], "unexpected answer: `HTTP/1.1 400"),
    // A notice of disconnection, even with success as its result.
    (
        "ldap",
        &[
            LDAP_REQUEST,
            Say(b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
        ],
        "unexpected answer",
    ),
    (
        "xmpp",
        &[XMPP_STREAM, XMPP_HEADER, Say(b"<stream:features><bind xmlns='b'/></stream:features>")],
        "does not offer STARTTLS",
    ),
    (
        "xmpp",
        &[
            XMPP_STREAM,
            XMPP_HEADER,
            Say(b"<stream:error><host-unknown xmlns='e'/></stream:error></stream:stream>"),
        ],
        "host-unknown",
    ),
    (
        "xmpp",
        &[
            XMPP_STREAM,
            XMPP_HEADER,
            Say(b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            Say(b"</stream:features>"),
            XMPP_STARTTLS,
            Say(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"),
        ],
        "refused: `<failure",
    ),
    ("postgres", &[SSL_REQUEST, Say(b"N")], "it has no TLS (`N`)"),
    (
        "postgres",
        &[SSL_REQUEST, Say(b"E\0\0\0\x14SFATAL\0Mtoo old\0\0")],
        "refused: `too old`",
    ),
    ("postgres", &[SSL_REQUEST, Say(b"E\xff\xff\xff\xff")], "too long"),
    (
        "mysql",
        &[Say(b"\x2e\0\0\0\x0a5.0\0\x01\0\0\0abcdefgh\0\xff\xf7\x21\x02\x00\0\0\0\0\0\0\0\0\0\0\0\0\0ABCDEFGHIJKL\0")],
        "does not offer CLIENT_SSL",
    ),
    ("mysql", &[Say(b"\x10\0\0\0\xff\x15\x04Host blocked\0")], "refused: `Host blocked"),
    ("mysql", &[Say(b"\x01\0\0\0\x0a")], "unexpected answer"),
    ("mysql", &[Say(b"\xff\xff\xff\0")], "too long"),
    ("sieve", &[Say(b"\"SIEVE\" \"x\"\r\nOK\r\n")], "does not offer STARTTLS"),
    ("sieve", &[Say(b"BYE \"busy\"\r\n")], "refused: `BYE"),
    (
        "sieve",
        &[Say(b"\"STARTTLS\"\r\nOK\r\n"), Hear(b"STARTTLS\r\n"), Say(b"NO (TLS) \"no\"\r\n")],
        "refused: `NO (TLS)",
    ),
];

/// The server consents and sends more in the same segment.
pub(crate) const INJECTED: &[(&str, &[Step])] = &[
    (
        "smtp",
        &[
            Say(b"220 a\r\n"),
            EHLO,
            Say(b"250-a\r\n250 STARTTLS\r\n"),
            Hear(b"STARTTLS\r\n"),
            Say(b"220 ready\r\n250 evil\r\n"),
        ],
    ),
    (
        "imap",
        &[
            Say(b"* OK\r\n"),
            Hear(b"a1 STARTTLS\r\n"),
            Say(b"a1 OK\r\n* 1 EXISTS\r\n"),
        ],
    ),
    ("pop3", &[Say(b"+OK\r\n"), Hear(b"STLS\r\n"), Say(b"+OK\r\n+OK evil\r\n")]),
    ("ftp", &[Say(b"220 a\r\n"), Hear(b"AUTH TLS\r\n"), Say(b"234 a\r\n230 evil\r\n")]),
    (
        "ldap",
        &[
            LDAP_REQUEST,
            Say(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30"),
        ],
    ),
    (
        "xmpp",
        &[
            XMPP_STREAM,
            XMPP_HEADER,
            Say(b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            Say(b"</stream:features>"),
            XMPP_STARTTLS,
            Say(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><evil/>"),
        ],
    ),
    ("postgres", &[SSL_REQUEST, Say(b"SR\0\0\0\x08\0\0\0\0")]),
    (
        "mysql",
        &[
            Say(
                b"\x2e\0\0\0\x0a5.0\0\x01\0\0\0abcdefgh\0\xff\xff\x21\x02\x00\0\0\0\0\0\0\0\0\0\0\0\0\0ABCDEFGHIJKL\0\x01\0\0\x02\0",
            ),
            MYSQL_REQUEST,
        ],
    ),
    (
        "sieve",
        &[
            Say(b"\"STARTTLS\"\r\nOK\r\n"),
            Hear(b"STARTTLS\r\n"),
            Say(b"OK\r\nOK \"evil\"\r\n"),
        ],
    ),
];
