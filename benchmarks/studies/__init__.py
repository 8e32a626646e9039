"""What do a study's other runs add to the forecast of a run?"""
