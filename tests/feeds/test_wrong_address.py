"""An address that is no feed's is told with what to do, and tried again: it may become one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streams.demo.stage import free_port
from streams.feeds.feed_counts import FeedCounts
from streams.feeds.following import Follower, Ways, Where
from streams.feeds.inbox import Inbox
from streams.feeds.polygon import Polygon
from streams.kafka.security import believing
from tests.feeds.playing import over_at_the_next_attempt

HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answers_html(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1_000)
    writer.write(HTML)
    await writer.drain()
    writer.close()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1_000)
    writer.close()


def told(caplog: pytest.LogCaptureFixture, url: str, answer: Answer | None = None) -> str:
    """What a feed logs of an address; PORT in it is where `answer` answers, or nobody does."""

    async def run() -> None:
        over = over_at_the_next_attempt(caplog.handler)
        if answer is None:
            await follow(url.replace("PORT", str(free_port())), over)
            return
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            await follow(url.replace("PORT", str(server.sockets[0].getsockname()[1])), over)

    asyncio.run(run())
    (line, *_) = [each.getMessage() for each in caplog.records if "next attempt" in each.getMessage()]
    return line


async def follow(url: str, over: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    ways = Ways(lambda: 0.0, loop.time, 5.0, 5.0)
    where = Where(url, believing("feed_ca_file", None))
    follower = Follower(where, Polygon("s3cret", (), 1), Inbox(1 << 20, loop.time), FeedCounts(), ways)
    following = asyncio.create_task(follower.run())
    await asyncio.wait_for(over.wait(), 20)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize(
    ("url", "answer", "words"),
    [
        ("ws://127.0.0.1:PORT/", answers_html, "no WebSocket there: 200, Invalid response status; see that --url is"),
        ("wss://127.0.0.1:PORT/", answers_html, "no TLS at port {port} (WRONG_VERSION_NUMBER); write ws:// in place"),
        ("ws://127.0.0.1:PORT/", hangs_up, "it hung up without an answer; see that --url is right"),
        ("ws://127.0.0.1:PORT/", None, "nobody takes connections at port {port} of 127.0.0.1 (connect call failed"),
        ("ws://no-such-host.invalid/", None, "nobody knows the host no-such-host.invalid ("),
    ],
)
def test_what_is_no_feed_is_told_with_the_remedy(
    url: str, answer: Answer | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = told(caplog, url, answer)
    before, _, behind = words.partition("{port}")
    assert before in line
    assert behind in line
    assert "--url" in line
    assert "SSLContext" not in line
    assert "s3cret" not in line
