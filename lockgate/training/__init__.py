"""The input pipeline, the network, the loop in one process or many, baselines, tuning, export."""
