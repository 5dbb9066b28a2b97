"""The pure machine, and the engine that performs what it asks for."""
