"""The Kafka path: brokers, record batches and Faust's extension points."""
