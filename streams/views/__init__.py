"""What others read: health, and later the Redis mirror, SQL and the web page."""
