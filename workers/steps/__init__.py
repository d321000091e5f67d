"""One module per kind of step. Each does its work under a claim and completes the step itself."""
