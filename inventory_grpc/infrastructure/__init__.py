"""The ports of the application, kept: storage, read models, cache and event bus."""
