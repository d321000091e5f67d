"""The embedded default: real servers and the product's processes, private to one folder of one machine."""
