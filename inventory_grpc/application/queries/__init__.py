"""The read side: queries by noun, and the snapshots of the log that answer them."""
