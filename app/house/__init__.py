"""A house's own signal rules where they are kept in the database: rows, verbs, and the rules in force."""
