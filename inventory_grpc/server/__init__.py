"""The processes that serve: listening, workers and their supervisor, log lines."""
