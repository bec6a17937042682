"""The engine: one log, one writer at a time. It handles keys, facts and states of any noun."""
