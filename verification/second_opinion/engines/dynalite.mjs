// An empty DynamoDB in memory, on a free port of 127.0.0.1, which it prints. A request of /empty makes it empty again.
// It ends with its standard input.

import dynalite from 'dynalite';
import http from 'node:http';

const empty = () => dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });

let database = empty();
const server = http.createServer((request, response) => {
  if (request.url !== '/empty') return database.emit('request', request, response);
  database = empty();
  return response.end();
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
