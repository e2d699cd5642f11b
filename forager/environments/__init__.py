"""How tasks are asked, opened in a sandbox and graded."""
