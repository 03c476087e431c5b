"""The HTTP beneath providers: httpx2 or aiohttp, connections, TLS, and the responses."""
