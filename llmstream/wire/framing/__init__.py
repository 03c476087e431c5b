"""Framing: the bytes of a body cut into frames, whatever they hold."""
