"""The gRPC side of the service: it reads requests and writes responses."""
