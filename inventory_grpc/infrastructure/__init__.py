"""Implementations of the application's ports: storage, read models, cache and event bus."""
