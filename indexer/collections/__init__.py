"""Collections: their generations, what these were made with, and which of them is live."""
