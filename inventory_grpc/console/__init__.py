"""The web console: a client of the server, in a process of its own, for people with a browser."""
