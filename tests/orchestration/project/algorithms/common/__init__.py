"""Nothing is shared: there is one algorithm."""
