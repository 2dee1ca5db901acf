"""Signals, layers, effects and gaps to a verdict. Pure: the heart."""
