"""A TraceQL query as a tree: write it, parse it, match it. Pure."""
