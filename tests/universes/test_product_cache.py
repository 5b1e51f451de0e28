"""The list that is known: fresh, too old, standing in, or not believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.universes.lifetimes import Lifetime
from streams.universes.limits import FIRST_PAUSE_MS, LAST_PAUSE_MS
from streams.universes.product_cache import ProductCache, Seen
from streams.universes.products import Listing, SourceError
from tests.universes.stage import LIFETIME, MINUTE_MS, some

NAMES = [f"C{number}" for number in range(20)]
LISTING = Listing(some(*NAMES))


def cache(lifetime: Lifetime = LIFETIME) -> ProductCache:
    return ProductCache(lifetime, 60 * MINUTE_MS)


def seen(found: ProductCache, now_ms: int) -> Seen:
    return found.look(now_ms)[0]


def test_the_checks_of_old() -> None:
    found = cache()
    assert found.ttl_ms / 1_000 == 300.0, "Cache TTL: 300.0s"
    assert seen(found, 0) is Seen.MISS, "Cache MISS on first access"
    found.take(LISTING, 0)
    assert seen(found, 1) is Seen.HIT, "Cache HIT on subsequent access"
    assert seen(found, 299_999) is Seen.HIT
    assert seen(found, 300_000) is Seen.EXPIRED, "Cache EXPIRED after TTL"


def test_zero_minutes_turn_it_off() -> None:
    found = cache(Lifetime(0, 15 * MINUTE_MS, 2 * MINUTE_MS))
    found.take(LISTING, 0)
    assert (seen(found, 0), found.ttl_ms) == (Seen.MISS, 0)
    assert found.stand_in(0) is not None, "it stands in for one that fails all the same"


def test_what_is_invalid_is_too_old_until_the_next_list() -> None:
    found = cache()
    found.take(LISTING, 0)
    found.invalidate()
    assert seen(found, 1) is Seen.EXPIRED
    assert found.stand_in(1) is not None
    found.take(LISTING, 2)
    assert seen(found, 3) is Seen.HIT


def test_lists_that_stay_the_same_are_kept_longer_and_those_that_change_shorter() -> None:
    found = cache()
    ttls = []
    for now_ms in range(5):
        found.take(LISTING, now_ms)
        ttls.append(found.ttl_ms / MINUTE_MS)
    assert ttls == [5.0, 10.0, 12.5, 13.75, 14.375]
    found.take(Listing(some(*NAMES[1:])), 5)
    assert found.ttl_ms == 2 * MINUTE_MS
    found.said_level = 0.0
    assert found.ttl_ms == 15 * MINUTE_MS


@given(st.sampled_from((60 * MINUTE_MS, 60 * MINUTE_MS + 1)) | st.integers(0, 10**9))
def test_a_list_stands_in_for_an_hour_and_no_longer(age_ms: int) -> None:
    found = cache()
    assert found.stand_in(0) is None
    found.take(LISTING, 0)
    assert (found.stand_in(age_ms) is not None) == (age_ms <= 60 * MINUTE_MS)


def test_behind_failures_nothing_is_asked_for_longer_and_longer() -> None:
    found, pauses = cache(), []
    for _ in range(8):
        found.failed(1_000, None)
        pauses.append(found.pause_ms(1_000))
    assert pauses == [min(FIRST_PAUSE_MS << times, LAST_PAUSE_MS) for times in range(8)]
    assert pauses[-1] == LAST_PAUSE_MS
    assert found.pause_ms(1_000 + LAST_PAUSE_MS) == 0
    found.failed(0, 5_000_000)
    assert found.pause_ms(0) == 5_000_000, "what the exchange asks for is kept to"
    found.take(LISTING, 0)
    assert found.pause_ms(0) == 0


def test_an_empty_list_is_not_kept_and_the_one_before_stays() -> None:
    found = cache()
    found.take(LISTING, 0)
    with pytest.raises(SourceError, match="empty"):
        found.take(Listing(()), 1)
    known = found.look(1)[1]
    assert known is not None
    assert len(known.products) == 20


def test_half_a_list_is_believed_when_it_keeps_coming() -> None:
    found, short = cache(), Listing(some(*NAMES[:9]))
    found.take(LISTING, 0)
    for now_ms, which in ((1, "1."), (2, "2.")):
        with pytest.raises(SourceError, match=f"9 products, where the last one had 20.*this was the {which}"):
            found.take(short, now_ms)
    assert len(found.take(short, 3).products) == 9
    for count in (10, 5):
        assert found.take(Listing(some(*NAMES[:count])), 4).products, "a half is not less than a half"


def test_a_whole_list_in_between_begins_the_count_anew() -> None:
    found, short = cache(), Listing(some("A"))
    for _ in range(3):
        found.take(LISTING, 0)
        for _ in range(2):
            with pytest.raises(SourceError):
                found.take(short, 0)
