"""The agents, one file each: decode, call, send."""
