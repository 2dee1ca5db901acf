"""TraceQL as values: nodes.py holds the tree, write.py and parse.py go to text and back, match.py and metrics.py answer."""
