"""OpenAI Responses: requests, and the answer's events in both directions."""
