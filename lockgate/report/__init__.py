"""Records as pages that people like to read: one self-contained HTML file."""
