"""The worker: takes jobs from the queue and runs their containers; the only code that asks the engine."""
