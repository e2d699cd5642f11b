"""Lists, picks and proves mutants. Depends on no particular mutator."""
