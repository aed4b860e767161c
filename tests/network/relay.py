"""A relay that treats each segment as a slow and lossy network would, as far as TCP lets one notice.

Every segment arrives after DELAY milliseconds; one in 1/LOSS arrives only after it has been sent again, and all behind
it wait for it. Usage: relay.py TARGET_HOST TARGET_PORT DELAY LOSS; prints its own port on loopback.
"""

from __future__ import annotations

import asyncio
import random
import sys

SEGMENT_BYTES = 1448
RETRANSMISSION = 0.2  # seconds, the least that Linux waits


async def one_way(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float, loss: float
) -> None:
    loop = asyncio.get_running_loop()
    # As much may be under way as a large TCP window holds.
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(4096)

    async def receive() -> None:
        while data := await source.read(SEGMENT_BYTES):
            lost = random.random() < loss
            await under_way.put((loop.time() + delay + lost * RETRANSMISSION, data))
        await under_way.put((loop.time() + delay, b""))

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            sink.write(data)
            await sink.drain()
        sink.close()

    try:
        await asyncio.gather(receive(), deliver())
    except OSError:
        sink.close()


async def main(host: str, port: int, delay: float, loss: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(
            one_way(reader, other_writer, delay, loss), one_way(other_reader, writer, delay, loss)
        )

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


random.seed(1)
asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000, float(sys.argv[4])))
