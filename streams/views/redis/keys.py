"""The keys that are read and written in Redis, by the names of old.

    TICK:UPD             sorted set   ticker, with the time of its last update in ms as its score
    STRAT:<id>:UNIV      set          the tickers in a strategy's universe; none where that is every ticker
    STRAT:<id>:LAST      hash         ticker, and the last bucket that the strategy ran in with it, in ms
    TICKGATE:VIEW        string       who follows the topics, and up to where they are in here
    TICKGATE:CLEANUP     string       who cleans up just now

Each is a slot of its own in Redis Cluster, and no command or script of ours but two takes more than one of them: the
transaction of the view, and the intersection in Lua. Those name all their keys. For them to work on a cluster, the
keys must share a slot: a prefix with a hash tag in it, such as `{tickgate}:`, stands before every one.
"""

from typing import Final, NamedTuple

_STRATEGY: Final = "STRAT:"
_UNIVERSE: Final = ":UNIV"
_LAST: Final = ":LAST"


class Keys(NamedTuple):
    """The keys of one view."""

    prefix: str = ""

    @property
    def updates(self) -> str:
        """The last update of each ticker."""
        return f"{self.prefix}TICK:UPD"

    def universe(self, strategy_id: str) -> str:
        """The tickers of a strategy."""
        return f"{self.prefix}{_STRATEGY}{strategy_id}{_UNIVERSE}"

    def last(self, strategy_id: str) -> str:
        """The last bucket of each ticker of a strategy."""
        return f"{self.prefix}{_STRATEGY}{strategy_id}{_LAST}"

    @property
    def marker(self) -> str:
        """Who follows, and up to where."""
        return f"{self.prefix}TICKGATE:VIEW"

    @property
    def cleanup(self) -> str:
        """Who cleans up."""
        return f"{self.prefix}TICKGATE:CLEANUP"

    @property
    def universes(self) -> str:
        """A pattern for the keys of all universes."""
        return _literally(f"{self.prefix}{_STRATEGY}") + f"*{_UNIVERSE}"

    @property
    def lasts(self) -> str:
        """A pattern for the keys of all last buckets."""
        return _literally(f"{self.prefix}{_STRATEGY}") + f"*{_LAST}"

    def strategy_of(self, key: str) -> str:
        """The strategy that a key of either kind is of."""
        return key.removeprefix(f"{self.prefix}{_STRATEGY}").removesuffix(_UNIVERSE).removesuffix(_LAST)


NO_PREFIX: Final = Keys()


def _literally(text: str) -> str:
    """What stands for itself in a pattern."""
    return "".join(f"\\{each}" if each in r"*?[]\^" else each for each in text)
