"""A long link: a TCP proxy that adds a delay and limits each connection, as a process of its own.

`python -m benchmarks.link LISTEN_PORT UPSTREAM_PORT`. It stands in for a network namespace with netem, which needs root
and modules that many kernels lack. Connections do not slow each other down, so it shows what a limit of each costs.
"""

import asyncio
import contextlib
import sys

from embedded.ports import LOOPBACK

ROUND_TRIP_SECONDS = 0.020
BYTES_PER_SECOND = 4_000_000
"""Of each connection, in each direction."""
_BLOCK = 64 * 1024
_BLOCKS_UNDERWAY = 4
"""As many as fit into the link: rate times delay, and a little."""


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass one direction on until it ends."""
    underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_BLOCKS_UNDERWAY)

    async def deliver() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await underway.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                sink.write_eof()
                return
            sink.write(data)
            await sink.drain()

    async def accept() -> None:
        loop = asyncio.get_running_loop()
        free = loop.time()
        data = b"first"
        while data:
            data = await source.read(_BLOCK)
            free = max(free, loop.time()) + len(data) / BYTES_PER_SECOND
            await underway.put((free + ROUND_TRIP_SECONDS / 2, data))

    await asyncio.gather(deliver(), accept())


async def _serve(listen: int, upstream: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(ROUND_TRIP_SECONDS)  # of the handshake
        with contextlib.suppress(OSError):
            their_reader, their_writer = await asyncio.open_connection(LOOPBACK, upstream, limit=_BLOCK)
            with contextlib.closing(writer), contextlib.closing(their_writer):
                await asyncio.gather(_carry(reader, their_writer), _carry(their_reader, writer))

    async with await asyncio.start_server(connected, LOOPBACK, listen, limit=_BLOCK) as server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
