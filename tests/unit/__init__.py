"""Stories, told in one process: the real handlers on moto's AWS, delivered to by the rules of serverless.yml."""
