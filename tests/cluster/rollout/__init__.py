"""The rollout on a real cluster. A package, so that pytest ends its fixtures before the next tests begin."""
