"""The questions put to the sources, a few at a time; each answer is a fact, or says why there is none."""
