"""Time, energy, CO2 and cost of a study: measured while it runs, estimated before."""
