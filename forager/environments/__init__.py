"""Environments ask tasks, open them in a sandbox and grade the answers."""
