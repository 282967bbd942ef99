"""The service: a challenge whose leaderboard says which differences would survive retraining."""
