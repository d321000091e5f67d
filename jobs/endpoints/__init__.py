"""The HTTP API of jobs and of the platform: what may be sent, what is answered, and the views between."""
