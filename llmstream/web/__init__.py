"""Serve a stream of events to every client: needs the `server` extra."""
