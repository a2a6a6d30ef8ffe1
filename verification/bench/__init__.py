"""What an order costs in calls, money and time: `npm run bench`, which writes docs/performance.md."""
