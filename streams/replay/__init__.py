"""The core over a recorded day: files in, fired pairs out."""
