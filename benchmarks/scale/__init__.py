"""How many curves per second do `lcx score` and pretraining by several processes take?"""
