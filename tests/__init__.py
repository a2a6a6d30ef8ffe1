"""unit: the code, in one process; wiring: serverless.yml and resources/; e2e: the deployed stack; setup, packaging."""
