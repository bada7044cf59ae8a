"""A set of recorded talk cases: does Natter take its turn when a person would, and give way when a person would?"""
