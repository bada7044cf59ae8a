"""Turn-taking as a pure state machine: events and times in, actions out. No I/O, no clock."""
