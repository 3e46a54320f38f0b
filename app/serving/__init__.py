"""Who may reach the app, what browsers are held to, and what is counted."""
