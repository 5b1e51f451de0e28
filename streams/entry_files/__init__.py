"""Lists of mappings as people write them, in JSON lines, JSON or YAML, with the line of each."""
