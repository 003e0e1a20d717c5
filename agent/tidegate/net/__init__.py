"""All HTTP, in a child process of its own: :mod:`.worker` is its entry, :mod:`.client` is how the agent runs it."""
