"""What shards tell each other comes back as it was told, under the key that compaction keeps it by."""

import pytest

from streams.core.agreement import Call, Called, Decision, Note, Told
from streams.core.limits import NEVER
from streams.core.turns import UNTURNED, Turn, Way
from streams.kafka.bad_values import BadValueError
from streams.kafka.codec import Decoder, Encoder
from streams.kafka.registry import FileSchemas
from streams.kafka.turn_records import RECORD, pair_of, record_of, told_of

ENCODER, DECODER = Encoder(FileSchemas(), (RECORD,)), Decoder(FileSchemas(), RECORD)


@pytest.mark.parametrize(
    ("told", "key"),
    [
        (Call(3, 7, (Called("s1", Way.WHOLE), Called("ß", Way.PAIRS))), b"call/3"),
        (Call(0, 1 << 40, ()), b"call/0"),
        (Note(3, 7, 11, 1_760_000_000_000), b"note/3/11"),
        (Note(0, 1, 0, NEVER), b"note/0/0"),
        (Decision("a/b", 7, (*UNTURNED, Turn(1_760_000_000_001, Way.WHOLE))), b"decision/a/b"),
    ],
)
def test_what_is_told_comes_back(told: Told, key: bytes) -> None:
    found, value = pair_of(told, ENCODER)
    assert found == key
    assert told_of(DECODER.decode(value, ())) == told


@pytest.mark.parametrize("spoilt", [{"kind": "shout"}, {"called": [{"strategy_id": "s", "way": "sideways"}]}])
def test_what_no_shard_would_tell_is_refused_with_a_remedy(spoilt: dict[str, object]) -> None:
    record = record_of(Call(0, 1, (Called("s", Way.WHOLE),))) | spoilt
    with pytest.raises(BadValueError) as refused:
        told_of(DECODER.decode(ENCODER.encode(RECORD, record), ()))
    assert refused.value.reason.word == "bad_turn"
    assert "only workers" in refused.value.reason.remedy
