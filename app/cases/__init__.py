"""Cases: notes, preserved evidence, one timeline, exports."""
