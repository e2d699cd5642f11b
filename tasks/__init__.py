"""Makes tasks: mutate-fix from mutants, issue-fix from histories and releases, imported rows."""
