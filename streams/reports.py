"""What a worker says of itself every few minutes, for the eye: counts since it began, and universes as they are."""

from collections.abc import Collection

from streams.instruments import Counted, Done, saved_ratio
from streams.universe_sizes import SIZE_CLASSES, average, by_class


def report_lines(total: Done, counted: Counted, sizes: Collection[int]) -> list[str]:
    """The lines; `sizes` as `Instruments.universes` has them."""
    classes = by_class(sizes)
    names = (
        f"{name} ({size})" for name, size in zip(("Small", "Medium", "Large", "XLarge"), SIZE_CLASSES, strict=True)
    )
    distribution = ", ".join(f"{name}: {count}" for name, count in zip(names, classes, strict=True))
    skips = f"Skipped (no update): {total.no_update}, Skipped (bucket dup): {total.bucket_dup}"
    symbols = f"Symbols processed: {total.processed}, Symbols skipped: {total.skipped}"
    saved = f"Saved: {100 * saved_ratio(total):.1f}%, Corruptions: {total.corruptions}"
    updates = f"Ticker updates: {total.updates}, Universe updates: {counted.universe_updates}"
    return [
        f"{updates}, Total tracked: {counted.tickers}",
        f"Strategy runs: {total.executions}, {skips}",
        f"Advanced operations - Universe discoveries: {counted.universe_discoveries}",
        f"Update tracking - Checks: {total.checks}, {symbols}, {saved}",
        f"Universe distribution - {distribution}, Every ticker: {len(sizes) - sum(classes)}",
        f"Average universe size: {average(sizes):.0f} tickers across {len(sizes)} active strategies",
    ]
