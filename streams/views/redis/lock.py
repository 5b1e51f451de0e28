"""One at a time: a key that is set only where there is none, and that only who has set it takes away again.

It runs out by itself, so whoever dies holds up nobody for long. Both scripts name the one key that they touch.
"""

from typing import Final

from streams.views.redis.alerts import Conn

RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
"""To ask and then to delete, as two commands, might delete the key of who came in between."""


class Lock:
    """Who holds the token holds the lock."""

    def __init__(self, conn: Conn, key: str, token: str, runs_out_ms: int) -> None:
        self._conn, self._key, self._token, self._runs_out_ms = conn, key, token, runs_out_ms

    async def take(self) -> bool:
        """Whether it is ours now."""
        taken = await self._conn.execute_command("SET", self._key, self._token, "NX", "PX", self._runs_out_ms)
        return bool(taken)

    async def release(self) -> bool:
        """Give it back; whether it was still ours."""
        return bool(await self._conn.execute_command("EVAL", RELEASE, 1, self._key, self._token))
