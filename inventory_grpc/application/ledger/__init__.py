"""The engine: one log, one writer at a time. It knows keys, facts and states, and no noun."""
