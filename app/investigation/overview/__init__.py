"""What a shift lead looks at first: who is refused, by whom, how quickly, and against what was usual."""
