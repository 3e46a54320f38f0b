"""The web app: pages to search, read, refine, measure and keep documents, and its REST API."""
