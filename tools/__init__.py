"""What an agent can do: bash, edit, create, submit."""
