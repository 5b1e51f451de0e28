"""Faust's assignor, once it knows every topic: the member that assigns for the group may know less than there is.

A broker that comes back tells its clients of topics only when they ask anew. Of a topic that it does not know, Faust
would leave all partitions out, and nobody would work them up until the next rebalance.
"""

from typing import Any, Final

from faust.assignor import PartitionAssignor

from streams.kafka.touched import no_longer_used

TOUCHED_NAMES: Final = {PartitionAssignor.assign: ("_assign",)}
"""Inside Faust: who calls what is overridden here."""


def moved() -> list[str]:
    """Name what an upgrade has moved; nothing, if this file still fits."""
    return no_longer_used(TOUCHED_NAMES)


class UnknownTopicsError(Exception):
    """The assignment must wait until the broker has told of these."""


class KnowingAssignor(PartitionAssignor):
    """See the head of this file. The group is asked again after an error, with what is known of topics made new."""

    def _assign(self, cluster: Any, member_metadata: Any) -> Any:  # noqa: ANN401 - Faust's
        subscribed = {topic for member in member_metadata.values() for topic in member.subscription}
        unknown = sorted(topic for topic in subscribed if not cluster.partitions_for_topic(topic))
        if unknown:
            raise UnknownTopicsError(f"nothing is known yet of the topics {', '.join(unknown)}")
        return super()._assign(cluster, member_metadata)
