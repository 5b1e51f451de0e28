"""The pure core: events, rules, columns and kernel. No IO, no clock, no randomness."""
