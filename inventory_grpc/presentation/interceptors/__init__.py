"""The interceptors of every call; `server` sets their order."""
