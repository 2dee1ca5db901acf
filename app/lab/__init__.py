"""A small instrumented shop, its visitors and its attackers."""
