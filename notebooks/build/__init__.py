"""What makes the lessons and the documents' pictures; who takes the tour needs none of it."""
