"""What is asked of the classes of data: is a sensitive one left, or does each stay what it is?"""
