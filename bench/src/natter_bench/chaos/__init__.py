"""What a caller notices when a worker dies in the middle of a conversation (nothing, it should be)."""
