"""The same work as others would do it. Each peer is a program of its own and prints one JSON line."""
