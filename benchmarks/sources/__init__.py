"""Which public sources of real curves has the model `general` seen, and how is each obtained?"""
