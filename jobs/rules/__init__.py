"""What is decided about jobs and steps by tables and arithmetic alone: no rows, no clock, no Django."""
