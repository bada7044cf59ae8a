"""Tools that a reply waits for: which run, which are cancelled, what became of each."""
