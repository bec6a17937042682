"""The storage engine: the log and its tables in one SQLite file in WAL mode."""
