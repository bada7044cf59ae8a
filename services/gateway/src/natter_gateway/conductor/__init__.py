"""The session's brain: joins what stages report, the turn machine, the reply and the page."""
