"""The command line: `fallline race`, `fallline list`, `fallline show`."""
