"""The directory on disk: rows in, rows out."""
