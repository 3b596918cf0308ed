"""Imports and exports as servers run them: claimed, beaten for, and gone on with after an end."""
