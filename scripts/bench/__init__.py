"""How fast is the service, and how much of what gRPC in Python allows is that?"""
