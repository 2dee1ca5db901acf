"""Spans, the trace tree, and OTLP in all its encodings. Pure."""
