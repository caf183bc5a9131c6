"""Pages that people read, send on and keep: one HTML file each, without scripts, that needs no network."""
