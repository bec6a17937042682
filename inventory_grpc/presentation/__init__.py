"""How the service is spoken to: gRPC on the outside, the application on the inside."""
