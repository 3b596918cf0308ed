"""What happens: the cycle as plain functions over a Session. No HTTP, no commit."""
