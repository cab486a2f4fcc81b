"""What knows Kubernetes or Git for the steps: the cluster's versions of the ports in `lockgate.ports`."""
