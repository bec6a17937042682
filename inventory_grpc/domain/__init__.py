"""The domain: facts, states and commands of each noun, and the refusals. It knows nothing else."""
