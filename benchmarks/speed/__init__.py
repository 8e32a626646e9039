"""How long does an answer take, beside the network of LC-PFN and beside emcee?"""
