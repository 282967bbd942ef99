"""Plan (pure), runner, executors, provenance: retraining studies that survive interruption."""
