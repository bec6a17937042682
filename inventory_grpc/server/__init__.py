"""The processes of a server: listening, workers and their supervisor, and logging."""
