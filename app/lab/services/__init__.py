"""The shop's five services. Each is a process of its own: `python -m app.lab.services` with its configuration."""
