"""Further measures of a book over the window: how much it moves, how deep it falls, how well it is spread."""
