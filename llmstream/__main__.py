"""`python -m llmstream`: the terminal."""

from __future__ import annotations

from llmstream.cli import run

if __name__ == "__main__":
    run()
