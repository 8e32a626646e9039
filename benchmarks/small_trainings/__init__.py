"""Where do further real curves come from? From thousands of very small models, trained here on the CPU."""
