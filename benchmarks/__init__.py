"""Speed of the simulator beside its peers; not part of the installed package."""
