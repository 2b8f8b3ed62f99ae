"""The race: workloads, and the runner that compares optimizers on them. Its command is `fallline race`."""
