"""Who may reach the app, what browsers are held to, what they may download, what is counted."""
