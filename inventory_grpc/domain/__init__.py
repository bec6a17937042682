"""The domain: facts, states, commands and refusals. It imports no other layer."""
