"""A supply network under a DAO's rules."""
