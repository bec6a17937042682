"""The ports, kept: by SQLite on disk, and by plain lists in memory."""
