"""`npm start`: start everything, place sample orders, keep running, and stop."""
