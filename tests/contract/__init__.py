"""One contract for every backend: suite.py is run over each of them."""
