"""Models of all that crosses a process, container or disk border; errors; paths."""
