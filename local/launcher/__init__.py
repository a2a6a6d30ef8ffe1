"""What `npm start` does: start everything, place sample orders, stay, and stop."""
