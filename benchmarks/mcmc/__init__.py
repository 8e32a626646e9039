"""How far is the network from MCMC on the same prior, and how much faster?"""
