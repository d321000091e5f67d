"""The dispatcher process: tickets for idle slots, expired leases, unavailable devices, progress events, janitor."""
