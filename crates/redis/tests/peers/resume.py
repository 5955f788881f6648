"""Connects several times with one session: resume.py PORT VERSION CERTIFICATE VISITS [RACERS]

With RACERS, the last visit is made by so many clients at once, all with the same session. TLS 1.3
clients should use a ticket once; Python leaves that to its user.
"""
import socket
import ssl
import sys
import threading

port, version, certificate, visits = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=certificate)
tls = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
context.minimum_version = context.maximum_version = tls


def visit(session, barrier=None):
    if barrier:
        barrier.wait()
    tcp = socket.create_connection(("127.0.0.1", port))
    with context.wrap_socket(tcp, server_hostname="localhost", session=session) as tls:
        reused = tls.session_reused
        tls.sendall(b"?")
        assert tls.recv(1) == b"!"
        # The tickets have arrived by now.
        session = tls.session
        assert tls.recv(1) == b""
        tls.unwrap()
        return session, reused


session = None
for _ in range(visits):
    session, reused = visit(session)
    print("resumed" if reused else "full", flush=True)

if len(sys.argv) > 5:
    racers = int(sys.argv[5])
    barrier, reused, failed = threading.Barrier(racers), [], []

    def race():
        try:
            reused.append(visit(session, barrier)[1])
        except Exception as e:
            failed.append(e)

    threading.stack_size(256 * 1024)
    threads = [threading.Thread(target=race) for _ in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"raced {len(reused)} finished {sum(reused)} resumed {len(failed)} failed", *failed[:3])
