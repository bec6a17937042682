"""The log as every storage engine keeps it."""
