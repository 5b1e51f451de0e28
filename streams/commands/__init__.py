"""The commands of `tickgate`, one file a group. Each imports what it needs when it is called: `--help` stays quick."""
