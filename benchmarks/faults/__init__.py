"""What do odd input, damaged files, kills, threads and processes do to lcx?"""
