"""The pure core: facts become plans, plans become commands, rows become manifests. Standard library only, no I/O."""
