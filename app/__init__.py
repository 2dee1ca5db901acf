"""Clew: follows the thread of a distributed trace to the door that was shut."""

__version__ = "0.1.0"
