"""Engine, session and column types of the database."""
