"""The cost of an order in calls, money and time: `npm run bench`, which writes docs/performance.md."""
