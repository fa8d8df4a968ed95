"""What a book is worth, as mathematics: no Django, no I/O, no clock; float64, and Decimal for costs."""
