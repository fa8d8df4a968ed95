"""A file for each that is asked: it registers itself under its name."""
