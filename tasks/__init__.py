"""What there is to solve: mutate-fix and, later, issue-fix tasks."""
