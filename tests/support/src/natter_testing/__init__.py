"""What the tests of several packages share: a real broker, a stage under test, emulated stages."""
