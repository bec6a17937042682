"""Metrics of a running server, read from its parts when they are asked for."""
