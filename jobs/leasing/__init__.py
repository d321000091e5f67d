"""A worker's hold on a step: nodes and the slots they have, claiming, leases, and fenced writes until it is done."""
