"""The use cases: commands, queries and subscriptions, free of storage and of gRPC."""
