"""One frozen dataclass per page, built from domain values."""
