"""What a provider's requests go over: httpx2 or aiohttp, connections, TLS, and what comes back."""
