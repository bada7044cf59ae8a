"""The journal of a session (what its turn machine was told and decided), and the snapshot of where it stands."""
