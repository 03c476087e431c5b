"""Stores of conversations: one small protocol, and three databases behind it."""
