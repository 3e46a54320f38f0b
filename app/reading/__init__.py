"""Documents as they are read: the file behind one, its preview, the text around a passage."""
