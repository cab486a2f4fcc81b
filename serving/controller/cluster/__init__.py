"""The controller on Kubernetes: its ports by the cluster's API, and by Git."""
