"""The materializer: keeps the views equal to the log. It decides nothing about who may read them."""
