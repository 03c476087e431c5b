"""OpenAI chat completions, and the family of hosts that speak it."""
