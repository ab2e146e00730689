"""The methods that RIG is compared with."""
