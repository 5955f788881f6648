"""AUTH TLS, a transfer each way, CCC, and then commands in the clear, as ftplib does it.

ccc.py PORT VERSION CERTIFICATE KEY
"""

import ftplib
import io
import ssl
import sys

port, version, certificate, _ = sys.argv[1:]

context = ssl.create_default_context(cafile=certificate)
# The certificate is its own root.
context.verify_flags &= ~ssl.VERIFY_X509_STRICT
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

data = bytes(i % 251 for i in range(300_000))

ftp = ftplib.FTP_TLS(context=context, timeout=30)
ftp.connect("localhost", int(port))
ftp.login("user", "secret")
ftp.prot_p()
ftp.storbinary("STOR upload", io.BytesIO(data))
got = io.BytesIO()
ftp.retrbinary("RETR upload", got.write)
assert got.getvalue() == data

print(ftp.ccc())
for i in range(100):
    name = f"directory-{i}"
    assert ftp.cwd(name) == f"250 {name}"
    assert ftp.pwd() == f"/{name}"
# The commands of a client that does not wait.
ftp.sock.sendall(b"NOOP\r\nPWD\r\nNOOP\r\n")
assert [ftp.getresp()[:3] for _ in range(3)] == ["200", "257", "200"]
print(ftp.quit())
