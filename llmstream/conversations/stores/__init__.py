"""Where conversations are kept: one small protocol, and three databases behind it."""
