"""What the dispatcher's process does: tickets to idle slots, expired leases, lost devices, progress told, janitors."""
