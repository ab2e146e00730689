"""Model-based learning: a model of what actions do to tool and objects, and a policy that is improved within it."""
