"""Routes, view models, charts and rendering."""
