"""Uses TCP sockets in the clear again after TLS, and checks that not one byte is lost.

reuse.py PORT ROLE VERSION FIRST HOW RUNS CERTIFICATE KEY

ROLE     "client" or "server": this side of TLS
FIRST    "us" or "them": whose close_notify goes out first
HOW      "socket": ssl.SSLSocket.unwrap(), then plaintext
         "glued": close_notify and plaintext in one send()
"""

import socket
import ssl
import sys

port, role, version, first, how, runs, certificate, key = sys.argv[1:]


def make_context():
    if role == "client":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate)
        # The certificate is its own root.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    return context


context = make_context()
side = {"server_side": role == "server"}
if role == "client":
    side["server_hostname"] = "localhost"


def message(run):
    """A body that may look like anything, behind its length."""
    body = bytes((run * 7 + i * i) % 256 for i in range(run * 13 % 3000))
    return len(body).to_bytes(4, "big") + body


def read_message(receive):
    def exactly(n):
        data = b""
        while len(data) < n:
            more = receive(n - len(data))
            assert more, f"the end after {len(data)} of {n} bytes"
            data += more
        return data

    head = exactly(4)
    return head + exactly(int.from_bytes(head, "big"))


class Glued:
    """TLS over a socket, with the bytes on the wire in hand."""

    def __init__(self, sock):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **side)
        self.do(self.tls.do_handshake)

    def send_and(self, behind):
        data = self.outgoing.read() + behind
        assert self.sock.send(data) == len(data)

    def do(self, step, behind=b""):
        """Repeats a step until it is done; `behind` goes out with the first bytes of it."""
        while True:
            try:
                result, done = step(), True
            except ssl.SSLWantReadError:
                done = False
            if self.outgoing.pending:
                self.send_and(behind)
                behind = b""
            if done:
                return result
            data = self.sock.recv(65536)
            assert data, "the end of the transport"
            self.incoming.write(data)

    def sendall(self, data):
        self.tls.write(data)
        self.send_and(b"")

    def recv(self, n):
        return self.do(lambda: self.tls.read(n))

    def unwrap_and(self, behind):
        """Returns what came behind the peer's close_notify."""
        self.do(self.tls.unwrap, behind)
        return self.incoming.read()


def one_run(run):
    sock = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = Glued(sock) if how == "glued" else context.wrap_socket(sock, **side)

    tls.sendall(message(run))
    assert read_message(tls.recv) == message(run + 1)
    if first == "them":
        assert tls.recv(1) == b"", "something before close_notify"

    ahead = b""
    if how == "glued":
        ahead = tls.unwrap_and(message(run + 2))
    else:
        sock = tls.unwrap()
        sock.sendall(message(run + 2))

    def receive(n):
        nonlocal ahead
        if not ahead:
            return sock.recv(n)
        data, ahead = ahead[:n], ahead[n:]
        return data

    assert read_message(receive) == message(run + 3)
    sock.sendall(message(run + 4))
    assert read_message(receive) == message(run + 5)
    assert receive(1) == b"", "something behind the last message"
    sock.close()


for run in range(int(runs)):
    one_run(run)
print(f"{runs} runs")
