"""`llmstream serve` as a program: settings from the command line or a file, reloads, one process or several."""
