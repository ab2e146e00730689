"""Makes observations, decodes untrusted pictures, and checks whether view and goals are familiar."""
