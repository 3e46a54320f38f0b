"""From files to stored passages: finding, planning, reading, chunking, embedding."""
