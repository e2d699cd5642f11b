"""What an attempt leaves behind: the record, the store, replay and report."""
