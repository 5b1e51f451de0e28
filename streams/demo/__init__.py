"""The demonstration: a made-up market, a worker, and what they do on the terminal."""
