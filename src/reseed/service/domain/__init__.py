"""What the service is about, without database or network: states, roles, limits."""
