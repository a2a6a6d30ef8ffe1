"""The HTTP API's contract as documents, made from the code: OpenAPI, and Postman's collection with its environments."""
