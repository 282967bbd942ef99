"""Arrays in, numbers out: the metrics of a challenge, each defined where it is computed."""
