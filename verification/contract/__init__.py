"""The HTTP API's contract as documents, generated from the code: OpenAPI, and a Postman collection."""
