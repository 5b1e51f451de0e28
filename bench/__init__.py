"""Timings beside the peers: `python -m bench`."""
