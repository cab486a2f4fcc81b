"""The rollout controller: it looks, folds what it saw into the evidence, decides, and makes the world follow.

`loop` is one look, through the ports of `ports`; `cluster/` has their versions on Kubernetes,
`serving/laptop` those on one machine.
"""
