"""Does the exported model answer as torch does, and how fast is the page in the browser?"""
