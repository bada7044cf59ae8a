"""The four stages without models: they speak the real frames, at a small part of the cost."""
