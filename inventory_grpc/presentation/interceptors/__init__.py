"""Interceptors of every call, one idea a file; `server` sets their order."""
