"""Google's Interactions API (`/v1beta/interactions`)."""
