"""What a model is asked: from a text and an answer to rows and ids, and back."""
