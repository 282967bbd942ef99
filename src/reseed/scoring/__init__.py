"""Predictions, a reference standard and a task in; metrics.json and score tables out."""
