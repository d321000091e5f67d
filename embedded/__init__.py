"""The embedded default: private servers and the product's processes, all in one folder."""
