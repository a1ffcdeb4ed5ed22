"""The command line, `prompt-pins`: the only part that imports typer and rich.  `main` holds the commands."""
