"""Who may log in and do what; sessions, CSRF, audit."""
