"""Which GPUs there are, what they have proven, and which one is to work next."""
