"""What breaks code: CWM's five families of mutators, and the catalogue of them."""
