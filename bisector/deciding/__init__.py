"""Decisions from outside: how the engine asks for one, and how somebody out there answers."""
