"""Python's asyncio streams over TLS.

streams.py ROLE VERSION CERTIFICATE KEY PORT
"""

import asyncio
import socket
import struct
import sys

from report import ANSWER, FLIGHT, HELLO, make_context, name_of, port, ready, report, role

context = make_context()


async def close(writer):
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass


async def read_to_end(reader):
    got = 0
    try:
        while data := await reader.read(65536):
            got += len(data)
        return got, "close_notify"
    except OSError as error:
        return got, name_of(error)


async def write(writer, data):
    if writer.transport.is_closing():
        return 0
    try:
        writer.write(data)
        await writer.drain()
        return len(data)
    except OSError:
        return 0


async def play(scenario, reader, writer):
    """Returns what was sent, what was read, and how reading has ended."""
    assert await reader.readexactly(len(HELLO)) == HELLO
    await write(writer, HELLO)
    tcp = writer.get_extra_info("socket")
    if scenario == "answer":
        result = (0, *await read_to_end(reader))
        await close(writer)
        return result
    if scenario == "close":
        await close(writer)
        return 0, 0, "-"
    if scenario == "flight":
        sent, (got, end) = await asyncio.gather(write(writer, FLIGHT), read_to_end(reader))
        await close(writer)
        return sent, got, end
    if scenario == "half":
        got, end = await read_to_end(reader)
        sent = await write(writer, ANSWER)
        await close(writer)
        return sent, got, end
    if scenario in ("cut", "abort"):
        await reader.readexactly(len(HELLO))
    if scenario == "cut":
        tcp.shutdown(socket.SHUT_WR)
        await read_to_end(reader)
        writer.transport.abort()
        return 0, 0, "-"
    if scenario == "abort":
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return 0, 0, "-"
    raise ValueError(scenario)


async def main():
    accepted = asyncio.Queue()
    server = None
    if role == "server":
        server = await asyncio.start_server(
            lambda *streams: accepted.put_nowait(streams), "127.0.0.1", 0, ssl=context
        )
    ready(server.sockets[0].getsockname()[1] if server else 0)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            if server:
                streams = await accepted.get()
            else:
                streams = await asyncio.open_connection(
                    "127.0.0.1", int(port), ssl=context, server_hostname="localhost"
                )
            report(*await asyncio.wait_for(play(line.strip(), *streams), 10))
        except Exception as error:  # Told to the driver, which judges it.
            report(0, 0, name_of(error))


asyncio.run(main())
