"""
The distributed engine: a study's jobs as arrays of a Slurm cluster.

`reseed run` submits the whole graph and may then go away; on the nodes each job is done by
`step`, which publishes and records as the local runner does.
"""
