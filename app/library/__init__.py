"""Documents and collections as lists, states and words, for the library page and the API."""
