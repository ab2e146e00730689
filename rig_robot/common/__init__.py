"""One idea a module that several folders need."""
