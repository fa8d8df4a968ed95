"""How the API behaves everywhere: errors, pages, access, strict input, idempotency."""
