"""Where jobs run: each executor has the five verbs of `executor.Executor`."""
