"""Programs that cases judge: competitive programming, functions with assertions."""
