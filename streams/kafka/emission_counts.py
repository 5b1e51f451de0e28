"""What an emission did, in numbers: for instruments, and for whoever reads its executions."""

from collections.abc import Sequence

from streams.core.columns import Counters
from streams.instruments import Done


def done_of(more: Sequence[int], ticks: int, executions: int) -> Done:
    """What an emission did, of what the totals have grown by."""
    return Done(
        0.0,
        ticks=ticks,
        irrelevant=more[Counters.IRRELEVANT],
        updates=more[Counters.UPDATES],
        late=more[Counters.LATE],
        bucket_dup=more[Counters.BUCKET_DUP],
        no_update=more[Counters.NO_UPDATE],
        fired_pairs=more[Counters.FIRED] + more[Counters.TRIGGERED],
        executions=executions,
        corruptions=more[Counters.CORRUPTIONS],
        no_bucket=more[Counters.NO_BUCKET],
        looks=more[Counters.LOOKS],
        checks=more[Counters.CHECKS],
        processed=more[Counters.PROCESSED],
        skipped=more[Counters.SKIPPED],
    )


def metadata_of(more: Sequence[int]) -> dict[str, int]:
    """What executions say of the steps that made them: tickers checked and skipped, pairs by what came of them."""
    told = {
        "checked": more[Counters.PROCESSED],
        "skipped": more[Counters.SKIPPED],
        "fired": more[Counters.FIRED] + more[Counters.TRIGGERED],
        "bucket_dup": more[Counters.BUCKET_DUP],
        "late": more[Counters.LATE],
        "no_bucket": more[Counters.NO_BUCKET],
    }
    return {name: count for name, count in told.items() if count}
