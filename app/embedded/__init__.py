"""A trace backend for one machine: OTLP in, Tempo's HTTP API out, span metrics beside it. Reached over HTTP only."""
