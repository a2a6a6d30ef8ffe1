"""The deployed stack on the embedded AWS, over real HTTP, with IAM enforced: what a customer and an operator see."""
