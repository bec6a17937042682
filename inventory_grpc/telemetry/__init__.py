"""The metrics of a running server, and the traces of its calls."""
