"""The log, its tables and the way to them: one SQLite file in WAL mode."""
