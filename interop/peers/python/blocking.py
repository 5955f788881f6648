"""Python's `ssl` module: blocking sockets.

blocking.py HOW ROLE VERSION CERTIFICATE KEY PORT

HOW is how it closes: "close" for socket.close(), "unwrap" for SSLSocket.unwrap() before it.
"""

import select
import socket
import struct
import sys

import ssl

from report import ANSWER, FLIGHT, HELLO, make_context, name_of, port, ready, report, role

how = sys.argv[1]
context = make_context()
listener = socket.create_server(("127.0.0.1", 0)) if role == "server" else None
session = None


def connect():
    if listener:
        tcp, _ = listener.accept()
        tcp.settimeout(10)
        return context.wrap_socket(tcp, server_side=True)
    tcp = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
    return context.wrap_socket(tcp, server_hostname="localhost", session=session)


def close(tls):
    if how == "unwrap":
        try:
            tls.unwrap()
        except OSError:
            pass
    tls.close()


def read_to_end(tls):
    got = 0
    try:
        while data := tls.recv(65536):
            got += len(data)
        return got, "close_notify"
    except OSError as error:
        return got, name_of(error)


def write(tls, data):
    try:
        tls.sendall(data)
        return len(data)
    except OSError:
        return 0


def both_ways(tls, data):
    """SSL_read and SSL_write of one connection must not run in two threads."""
    tls.setblocking(False)
    sent, got, end = 0, 0, None
    while sent < len(data) or end is None:
        try:
            while sent < len(data):
                sent += tls.send(data[sent : sent + 16384])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            data = data[:sent]
        try:
            while end is None:
                chunk = tls.recv(65536)
                got += len(chunk)
                if not chunk:
                    end = "close_notify"
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            end = name_of(error)
        readers = [tls] if end is None else []
        writers = [tls] if sent < len(data) else []
        if readers or writers:
            select.select(readers, writers, [], 10)
    tls.settimeout(10)
    return sent, got, end


def play(scenario, tls):
    """Returns what was sent, what was read, and how reading has ended."""
    global session
    assert tls.recv(len(HELLO)) == HELLO
    tls.sendall(HELLO)
    if scenario == "answer":
        result = (0, *read_to_end(tls))
        session = tls.session
        close(tls)
        return result
    if scenario == "close":
        close(tls)
        return 0, 0, "-"
    if scenario == "flight":
        result = both_ways(tls, FLIGHT)
        close(tls)
        return result
    if scenario == "half":
        got, end = read_to_end(tls)
        sent = write(tls, ANSWER)
        close(tls)
        return sent, got, end
    if scenario in ("cut", "abort"):
        assert tls.recv(len(HELLO)) == HELLO
    if scenario == "cut":
        tls.shutdown(socket.SHUT_WR)
        # Without TLS from here on.
        while tls.recv(65536):
            pass
        tls.close()
        return 0, 0, "-"
    if scenario == "abort":
        tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        tls.close()
        return 0, 0, "-"
    if scenario == "plain":
        got, end = read_to_end(tls)
        tcp = tls.unwrap()
        assert tcp.recv(4) == b"ping"
        tcp.sendall(b"pong")
        tcp.close()
        return 0, got, end
    raise ValueError(scenario)


ready(listener.getsockname()[1] if listener else 0)
for line in sys.stdin:
    try:
        report(*play(line.strip(), connect()))
    except Exception as error:  # Told to the driver, which judges it.
        report(0, 0, name_of(error))
