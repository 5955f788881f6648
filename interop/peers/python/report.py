"""What the Python peers have in common: the sizes of the messages, and how an end is named."""

import ssl
import sys

HELLO = b"hello\n"
FLIGHT = bytes(256 * 1024)
ANSWER = bytes(64 * 1024)

role, version, certificate, key, port = sys.argv[-5:]


def make_context():
    if role == "client":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    tls = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    context.minimum_version = context.maximum_version = tls
    return context


def name_of(error):
    """The word for how reading has ended."""
    if isinstance(error, ConnectionError):
        return "reset"
    if isinstance(error, (ssl.SSLEOFError, EOFError)):
        return "truncated"
    return "error:" + type(error).__name__


def ready(port):
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"ready {port} Python {python}, {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}", flush=True)


def report(sent, got, end):
    print(f"sent={sent} got={got} end={end}", flush=True)
