"""A benchmark of the service beside an empty gRPC server and SQLite alone."""
