"""Scores in, conclusions out: comparisons of training methods under a stated scope."""
