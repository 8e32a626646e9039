"""What does early stopping gain on finished runs of real tasks?"""
